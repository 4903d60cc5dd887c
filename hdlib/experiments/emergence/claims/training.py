"""Claims about the followed width: what comes first, and what the spectrum has to do with it."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.claims.concepts import LAST_HIDDEN, LEGENDRE, PARITY
from hdlib.experiments.emergence.probing import RELABELLED
from hdlib.experiments.emergence.results import PublishedEmergence
from hdlib.experiments.emergence.training import SINGLE

SPACING = 100
"""Steps between checkpoints: lags below it are none."""


def _ahead(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    symbol, control, other = (
        followed.lags(followed.scores(name, kind))[:, LAST_HIDDEN + 1 - 1]
        for name, kind in ((LEGENDRE, 0), (PARITY, RELABELLED), (LEGENDRE, RELABELLED))
    )
    return Verdict(
        bool(symbol.max() < -SPACING and control.max() < -SPACING),
        {"symbol": _each(symbol), "control": _each(control), "other": _each(other)},
    )


def _waves(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    lags = followed.wave_lags[:, LAST_HIDDEN]
    early = followed.accuracy < 0.1
    read = followed.mean_read[..., LAST_HIDDEN]
    return Verdict(bool(np.abs(lags).max() < SPACING), {"lags": _each(lags), "n": _each(followed.read.sum(1), "d"), "early": read[early].max()})


def _outliers(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    outliers, accuracy = followed.outliers, followed.logged("test_accuracy", followed.spectrum_steps)
    rising = (accuracy > 0.05) & (accuracy < 0.95)
    return Verdict(
        bool((outliers[rising] > 0).sum() <= 2),
        {"rising": int(rising.sum()), "with_gap": int((outliers[rising] > 0).sum()), "end": ", ".join(map(str, outliers[:, -1]))},
    )


def _single(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    ours, random = followed.moved.max(3), followed.moved_at_random.max(3)
    energy, null = (followed.at_read(each)[:, -1].mean(1) for each in (followed.moved, followed.moved_at_random))
    return Verdict(
        bool((ours[:, -1] > SINGLE).sum(1).min() >= 2 and random.max() < SINGLE and (energy < null + 0.05).all()),
        {
            "count": _each((ours[:, -1] > SINGLE).sum(1), "d"),
            "before": _each((ours[:, 0] > SINGLE).sum(1), "d"),
            "random": random.max(),
            "energy": extent(energy, ".0%"),
            "null": extent(null, ".0%"),
        },
    )


def _each(values, form: str = "+.0f") -> str:
    return ", ".join(f"{value:{form}}" for value in values)


CLAIMS = ()
