"""A claim about the setting of the original work."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.claims.concepts import LAST_HIDDEN
from hdlib.experiments.emergence.probing import FITTED, HELD_OUT, SHUFFLED, TRUE
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.results import CHANCE, interval

PARITY = "parity of x"


def _capacity(found: PublishedEmergence) -> Verdict:
    results = found.original
    same, other = (
        [results.scores(PARITY, kind, rows=rows)[..., LAST_HIDDEN] for kind in (TRUE, SHUFFLED)]
        for rows in (FITTED, HELD_OUT)
    )
    true, shuffled = (scores.mean(1) for scores in same)
    apart, half = (float(each[0]) for each in interval((same[0] - same[1]).reshape(1, -1)))
    return Verdict(
        bool(
            min(true.min(), shuffled.min()) > CHANCE + 0.01
            and abs(apart) < half
            and max(np.abs(scores - CHANCE).max() for scores in other) < 0.03
        ),
        {
            "narrow": results.widths[0],
            "wide": results.widths[-1],
            "true": ", ".join(f"{score:.3f}" for score in true),
            "shuffled": ", ".join(f"{score:.3f}" for score in shuffled),
            "low": apart - half,
            "high": apart + half,
            "other": extent(other[0].ravel(), ".3f"),
            "other_shuffled": extent(other[1].ravel(), ".3f"),
        },
    )


CLAIMS = (
    Claim(
        "decodability-is-capacity",
        "In the original's setting x even scores above chance at every width on the rows that the "
        "probe was fitted on, and shuffled labels as much; on other rows there is nothing to read.",
        "From width {narrow} to {wide} it is {true}, that of shuffled labels {shuffled} (means "
        "over seeds, last hidden layer before its ReLU); true less shuffled: {low:+.3f} to "
        "{high:+.3f} (95% over networks). Held out: {other} and {other_shuffled} in single "
        "networks.",
        _capacity,
        seeds=3,
        null="the same probe of shuffled labels",
        refuted_by="a network on two raw integers, of any width, whose held-out score of x even is "
        "above chance by more than three hundredths.",
        replaces='"decodability of x % 2 emerges with width", from probes that were fitted and '
        "scored on the same rows; its published curves against layer were random numbers.",
    ),
)
