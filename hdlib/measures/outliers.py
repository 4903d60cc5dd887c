"""How wide the gaps at the top of a spectrum are, rank by rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SEARCH = 100
"""How many of the top gaps are looked at."""


def tail_spacings(eigenvalues: FloatArray, *, search: int = SEARCH) -> FloatArray:
    """The top gaps as k log(λₖ / λₖ₊₁), which a power law keeps about constant in k.

    For λₖ ∝ k^(−α) they are about α, and their mean is the tail index (Hill 1975). Absolute gaps
    would not do: among the largest eigenvalues every gap is wide, and the widest is mostly the
    first.

    Args:
        eigenvalues: (n,), n ≥ 2, at least two of them positive.
        search: how many top gaps, K; fewer where fewer eigenvalues are positive.

    Returns:
        (K,) float64, of the gap below λ₁ first.

    Raises:
        ValueError: if fewer than two eigenvalues are positive, or all of these are equal.
    """
    top = np.sort(eigenvalues)[::-1][: search + 1]
    top = top[top > 0]
    if len(top) < 2 or top[0] == top[-1]:
        raise ValueError(f"spacings need 2 different positive eigenvalues, got {len(top)} positive")
    return np.arange(1.0, len(top)) * np.log(top[:-1] / top[1:])


def tail_scores(eigenvalues: FloatArray, *, search: int = SEARCH) -> FloatArray:
    """`tail_spacings` in units of their mean: (K,), mean 1.

    What is high for a spectrum without a gap, `gap_test` says.
    """
    spacings = tail_spacings(eigenvalues, search=search)
    return spacings / spacings.mean()
