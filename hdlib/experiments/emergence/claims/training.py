"""Claims about the followed width: what comes first, and what the spectrum has to do with it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.claims.concepts import LAST_HIDDEN, LEGENDRE, PARITY
from hdlib.experiments.emergence.probing import RELABELLED, TRUE
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.training import SINGLE

SPACING = 100
"""Steps between checkpoints: lags below it are none."""


def _ahead(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    symbol, control, other = (
        followed.lags(followed.scores(name, kind))[:, LAST_HIDDEN]
        for name, kind in ((LEGENDRE, TRUE), (PARITY, RELABELLED), (LEGENDRE, RELABELLED))
    )
    return Verdict(
        bool(symbol.max() < -SPACING and control.max() < -SPACING),
        {"symbol": _each(symbol), "control": _each(control), "other": _each(other)},
    )


def _waves(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    lags = followed.lags(followed.mean_read)[:, LAST_HIDDEN]
    return Verdict(
        bool(np.abs(lags).max() < SPACING),
        {
            "lags": _each(lags),
            "count": _each(followed.read.sum(1), "d"),
            "all": followed.read.shape[1],
        },
    )


def _outliers(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    accuracy = followed.logged("test_accuracy", followed.spectrum_steps)
    rising = (accuracy > 0.05) & (accuracy < 0.95)
    gaps = followed.outliers > 0
    return Verdict(
        bool(not gaps[accuracy <= 0.05].any() and gaps[rising].mean() < 0.25),
        {
            "before": int((accuracy <= 0.05).sum()),
            "rising": int(rising.sum()),
            "found": int(gaps[rising].sum()),
            "end": _each(followed.outliers[:, -1], "d"),
        },
    )


def _single(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    ours, random = (each.max(3) for each in (followed.moved, followed.moved_at_random))
    energy, null = (
        followed.at_read(each)[:, -1].mean(1) for each in (followed.moved, followed.moved_at_random)
    )
    count = (ours > SINGLE).sum(2)
    return Verdict(
        bool(
            count[:, -1].min() >= 1
            and not count[:, 0].any()
            and random.max() < SINGLE
            and (energy < null).all()
        ),
        {
            "count": _each(count[:, -1], "d"),
            "pairs": ours.shape[2],
            "random": random.max(),
            "energy": extent(energy, ".0%"),
            "null": extent(null, ".0%"),
        },
    )


def _each(values: Iterable[float], form: str = "+.0f") -> str:
    return ", ".join(f"{value:{form}}" for value in values)


CLAIMS = (
    Claim(
        "ahead-of-accuracy",
        "Scores lead the accuracy, and so does that of a meaningless question: a yes or no about "
        "the sum can be guessed from a few waves, the sum itself only from many.",
        "Lags on the last hidden layer, seed by seed: Legendre symbol {symbol} steps; the control "
        "of parity {control}, that of the Legendre symbol {other}.",
        _ahead,
        seeds=3,
        null="the same question about randomly permuted residues",
        refuted_by="a seed in which either the Legendre symbol or the control of parity is not a "
        "hundred steps ahead.",
    ),
    Claim(
        "waves-accompany",
        "The waves of the sum come with generalisation, neither before nor after it.",
        "The mean R² of the frequencies that are read at the end ({count} of {all}) is half-way "
        "{lags} steps after the test accuracy; the checkpoints are 100 steps apart.",
        _waves,
        seeds=3,
        null="none",
        refuted_by="a seed in which they are apart by a hundred steps or more.",
    ),
    Claim(
        "no-outliers-on-the-way",
        "No group of outliers marks the transition.",
        "At the {before} checkpoints with at most 5% of test pairs right no gap stands out among "
        "the leading eigenvalues, and at {found} of the {rising} with 5% to 95%; at the end there "
        "are {end} above one, seed by seed.",
        _outliers,
        seeds=3,
        null="simulated spectra without a gap, at the 5% level for each checkpoint",
        refuted_by="seeds in which the same number of eigenvalues stands apart through the rise.",
    ),
    Claim(
        "single-frequencies",
        "Some leading eigenvectors of a trained network move one frequency, which no random "
        "direction does; that they move the network's own frequencies says nothing, since these do "
        "so, too.",
        "At the end {count} of {pairs} have more than half of what they change at one frequency, "
        "before training none; the most of a random direction, at any checkpoint, is {random:.0%}. "
        "At the frequencies that are read at the end lie {energy} of what eigenvectors change and "
        "{null} of what random directions do.",
        _single,
        seeds=3,
        null="as many random directions at the same weights",
        refuted_by="a seed of this width without such an eigenvector at the end.",
    ),
)
