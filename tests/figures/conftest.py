from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray

from hdlib import Trajectory

from .spectra import known, through

mpl.use("agg")

STEPS = np.array(
    [0, 10, 50, 100, 200, *(469 * epoch for epoch in [*range(1, 11), *range(12, 31, 2)])]
)


def realistic_spectrum(n: int, seed: int) -> NDArray[np.float64]:
    """A large bulk of tiny eigenvalues of both signs, exact zeros, and outliers."""
    rng = np.random.default_rng(seed)
    bulk = rng.standard_normal(n - 60) * 10 ** rng.normal(-5, 1, n - 60)
    bulk[: n // 8] = 0
    outliers = np.geomspace(1, 50, 10) * rng.uniform(0.9, 1.1, 10)
    negative = -(10 ** rng.uniform(-2.5, -0.3, 50))
    return np.sort(np.concatenate([np.clip(bulk, -0.3, 0.3), outliers, negative]))


@pytest.fixture(scope="session")
def steps() -> NDArray[np.int64]:
    return STEPS


@pytest.fixture(scope="session")
def trajectory(steps: NDArray[np.int64]) -> Trajectory:
    """A spectrum of 5,994 eigenvalues at each of 25 steps."""
    return through(steps, [realistic_spectrum(5994, seed) for seed in range(len(steps))])


@pytest.fixture(scope="session")
def ends() -> Trajectory:
    """The 40 lowest and 50 highest of 94,666 eigenvalues at three steps.

    What is between them would be the largest gap by far.
    """
    rng = np.random.default_rng(0)
    values = np.hstack([-rng.gamma(1, 1e-3, (3, 40)), 5 + rng.gamma(1, 0.1, (3, 50))])
    return through([0, 100, 17_000], [known(row, n=94_666, lowest=40) for row in values])
