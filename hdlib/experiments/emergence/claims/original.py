"""Claims about the setting of the original work."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.probing import FITTED, SHUFFLED, TRUE
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.results import CHANCE

PARITY = "parity of x"
LAST_HIDDEN = -2
"""Position among the layers: before the logits."""


def _capacity(found: PublishedEmergence) -> Verdict:
    results = found.original
    same, other = (
        {kind: results.scores(PARITY, kind, **rows)[..., LAST_HIDDEN] for kind in (TRUE, SHUFFLED)}
        for rows in ({"rows": FITTED}, {})
    )
    gains = [values[-1] - values[0] for values in same.values()]
    apart = np.abs(same[TRUE].mean(1) - same[SHUFFLED].mean(1)).max()
    return Verdict(
        bool(
            min(gain.min() for gain in gains) > 0
            and apart < min(gain.mean() for gain in gains)
            and max(np.abs(values - CHANCE).max() for values in other.values()) < 0.03
        ),
        {
            "narrow": results.widths[0],
            "wide": results.widths[-1],
            "first": same[TRUE][0].mean(),
            "last": same[TRUE][-1].mean(),
            "first_shuffled": same[SHUFFLED][0].mean(),
            "last_shuffled": same[SHUFFLED][-1].mean(),
            "other": extent(other[TRUE].ravel(), ".3f"),
            "other_shuffled": extent(other[SHUFFLED].ravel(), ".3f"),
        },
    )


def _learns_little(found: PublishedEmergence) -> Verdict:
    train, test = (found.original.logged(f"{part}_accuracy") for part in ("train", "test"))
    return Verdict(
        bool(train.max() < 0.95 and test.max() < 0.5),
        {"train": extent(train.ravel(), ".1%"), "test": extent(test.ravel(), ".1%")},
    )


CLAIMS = (
    Claim(
        "decodability-is-capacity",
        "In the original's setting the score of x even rises with width on the rows that the probe "
        "was fitted on, and as much for shuffled labels; on other rows there is nothing to read.",
        "From width {narrow} to {wide} it goes from {first:.3f} to {last:.3f}, that of shuffled "
        "labels from {first_shuffled:.3f} to {last_shuffled:.3f} (means over seeds, last hidden "
        "layer before its ReLU); held out, {other} and {other_shuffled}.",
        _capacity,
        seeds=3,
        null="the same probe of shuffled labels",
        refuted_by="a network on two raw integers, of any width, whose held-out score of x even is "
        "above chance by more than three hundredths.",
        replaces='"decodability of x % 2 emerges with width", from probes that were fitted and '
        "scored on the same rows; its published curves against layer were random numbers.",
    ),
    Claim(
        "raw-integers-hardly-learn",
        "On two raw integers no network generalises, or even memorises, in the steps given here.",
        "Accuracy at the end is {train} on training pairs and {test} on test pairs.",
        _learns_little,
        seeds=3,
        null="none",
        refuted_by="a network of this kind with 95% of its training pairs right after 1,000 steps.",
    ),
)
