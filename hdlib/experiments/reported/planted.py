"""Reported of the spacings of superposed spectra, and ours of circuits that were planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.reported.record import Reported
from hdlib.experiments.reported.rules import mean_near
from hdlib.measures.spacings import GOE_RATIOS

MARGIN = 0.02
"""About three standard errors of a mean over five seeds of 400 eigenvalues."""


def _ratios(alpha: float) -> Callable[[PublishedPlanted], NDArray[np.float64]]:
    return lambda found: found["main"].statistic("neighbours", alpha, "end")[:, 0]


RECORDS: tuple[Reported[PublishedPlanted], ...] = (
    Reported(
        work="@giraud2022probing",
        what="mean ratio of neighbouring spacings of two random matrices laid over one another; "
        "ours: two circuits that share nothing (α = 0), end of training",
        says=f"{GOE_RATIOS[1]:.3f}",
        ours=_ratios(0.0),
        form=".3f",
        rule=mean_near(GOE_RATIOS[1], margin=MARGIN),
        seeds=5,
        section="sec-planted-strangers",
    ),
    Reported(
        work="@atas2013distribution",
        what="the same of one random matrix; ours: both circuits in one trunk (α = 1)",
        says=f"{GOE_RATIOS[0]:.3f}",
        ours=_ratios(1.0),
        form=".3f",
        rule=mean_near(GOE_RATIOS[0], margin=MARGIN),
        seeds=5,
        section="sec-planted-strangers",
    ),
)
