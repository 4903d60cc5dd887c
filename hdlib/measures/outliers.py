"""Eigenvalues set off from the rest at the top of a spectrum, and whether that means anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Gap, dendrogram

SEARCH = 100
WINDOW = 10
"""Gaps on each side that define the local spacing: as many as there may be outliers, or a group of
them would be its own neighbourhood."""


def outlier_gap(eigenvalues: NDArray[np.float64], *, search: int = SEARCH) -> Gap:
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
    every = tree.gaps(len(eigenvalues), relative=True, window=WINDOW)
    candidates = [gap for gap in every if gap.rank <= search]
    if not candidates:
        raise ValueError(f"outliers need at least 2 eigenvalues, got {len(eigenvalues)}")
    return candidates[0]


def tail_scores(eigenvalues: NDArray[np.float64], *, search: int = SEARCH) -> NDArray[np.float64]:
    """The top gaps in units of those of a featureless tail.

    If the top eigenvalues λ₁ > λ₂ > … were the largest of independent draws from a power law, then
    by Rényi's representation the spacings k log(λₖ / λₖ₊₁) would be independent and exponential,
    with the tail index as their mean (Hill 1975). So the scores, the spacings over their mean, are
    about those of standard exponentials: what stands out has a score above `tail_threshold`.

    Args:
        eigenvalues: (n,), n ≥ 2, at least two of them positive.
        search: how many top gaps, K; fewer where fewer eigenvalues are positive.

    Returns:
        (K,) float64, of the gap below λ₁ first; mean 1.

    Raises:
        ValueError: if fewer than two eigenvalues are positive, or all of these are equal.
    """
    top = np.sort(eigenvalues)[::-1][: search + 1]
    top = top[top > 0]
    if len(top) < 2 or top[0] == top[-1]:
        raise ValueError(f"scores need 2 different positive eigenvalues, got {len(top)} positive")
    spacings = np.arange(1, len(top)) * np.log(top[:-1] / top[1:])
    return spacings / spacings.mean()


def tail_threshold(*, search: int = SEARCH, level: float = 0.95) -> float:
    """What the largest of K scores of a featureless tail stays below with probability ``level``.

    The largest of K standard exponentials: −log(1 − level^(1/K)).
    """
    return float(-np.log1p(-(level ** (1 / search))))
