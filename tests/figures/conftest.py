from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray

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
def trajectory(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """A spectrum of 5,994 eigenvalues at each of 25 steps."""
    return np.array([realistic_spectrum(5994, seed) for seed in range(len(steps))])
