"""Numbers that sum up a spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALL = 0.01


class SpectralSummary(NamedTuple):
    """Measures of a spectrum λ₁ ≤ … ≤ λₙ.

    Attributes:
        trace: Σλ.
        spectral_entropy: −Σ pᵢ log pᵢ of pᵢ = |λᵢ| / Σ|λ|, in nats, at most log n.
        largest_eigenvalue: λₙ.
        smallest_eigenvalue: λ₁.
        n_negative: eigenvalues below minus the rounding error n · 2⁻⁵² · max|λ|.
        n_small: eigenvalues below 0.01 in absolute value.
    """

    trace: float
    spectral_entropy: float
    largest_eigenvalue: float
    smallest_eigenvalue: float
    n_negative: int
    n_small: int


def spectral_summary(eigenvalues: NDArray[np.float64]) -> SpectralSummary:
    """Sum up a spectrum, (n,) in any order.

    Raises:
        ValueError: if it is empty.
    """
    if len(eigenvalues) == 0:
        raise ValueError("a spectrum needs at least one eigenvalue")
    sizes = np.abs(eigenvalues)
    shares = sizes[sizes > 0] / sizes.sum() if sizes.any() else np.ones(1)
    rounding = len(sizes) * np.finfo(float).eps * sizes.max()
    return SpectralSummary(
        trace=float(eigenvalues.sum()),
        spectral_entropy=float(-(shares * np.log(shares)).sum()),
        largest_eigenvalue=float(eigenvalues.max()),
        smallest_eigenvalue=float(eigenvalues.min()),
        n_negative=int((eigenvalues < -rounding).sum()),
        n_small=int((sizes < SMALL).sum()),
    )
