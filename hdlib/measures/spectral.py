"""Numbers that sum up a spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Gap, dendrogram

SMALL = 0.01
OUTLIER_SEARCH = 100


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


def outlier_gap(eigenvalues: NDArray[np.float64], *, search: int = OUTLIER_SEARCH) -> Gap:
    """The gap that sets the outliers off: the largest *relative* one below a top eigenvalue.

    Its rank is the number of outliers. Absolute gaps would not do: among the largest eigenvalues
    every gap is wide, and the widest is nearly always the first.

    Args:
        eigenvalues: (n,), n ≥ 2.
        search: how many of the top gaps may be it.

    Raises:
        ValueError: if there is no gap.
    """
    tree = dendrogram(eigenvalues)
    candidates = [g for g in tree.gaps(len(eigenvalues), relative=True) if g.rank <= search]
    if not candidates:
        raise ValueError(f"outliers need at least 2 eigenvalues, got {len(eigenvalues)}")
    return candidates[0]
