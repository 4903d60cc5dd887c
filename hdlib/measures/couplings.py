"""Couplings between runs of parameters in some order, few enough for a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def binned(couplings: FloatArray, order: ArrayLike, *, bins: int) -> FloatArray:
    """Mean coupling between bins: runs, as equal as can be, of the parameters in an order.

    No parameter's coupling to itself counts.

    Args:
        couplings: A, (n, n).
        order: (n,) a permutation of 0 … n − 1, as `hdlib.clustering.FiedlerTree.order`.
        bins: b, 1 … n.

    Returns:
        (b, b) float64; NaN on the diagonal where a bin has one parameter only.

    Raises:
        ValueError: if the couplings are not square, the order does not fit, or for another b.
    """
    order, starts = _bins(order, bins)
    if couplings.shape != (len(order), len(order)):
        raise ValueError(
            f"couplings must be {len(order)} × {len(order)}, as the order, got {couplings.shape}"
        )
    # A few rows at a time: a whole reordered copy may not fit in memory.
    sums = np.stack([couplings[rows].sum(0) for rows in np.split(order, starts[1:])])
    sums = np.add.reduceat(sums[:, order], starts, axis=1)
    sums[np.diag_indices(bins)] -= np.add.reduceat(np.diagonal(couplings)[order], starts)
    sizes = np.diff(np.append(starts, len(order))).astype(np.float64)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    return np.divide(sums, pairs, out=np.full_like(sums, np.nan), where=pairs > 0)


def binned_shares(groups: ArrayLike, order: ArrayLike, *, bins: int) -> FloatArray:
    """Share of each group among the parameters of each bin.

    Args:
        groups: (n,) the group of each parameter, 0 … L − 1.
        order: (n,) as `binned` takes it.
        bins: b, 1 … n.

    Returns:
        (b, L) float64, rows summing to 1.

    Raises:
        ValueError: if groups and order do not fit, or for another b.
    """
    order, starts = _bins(order, bins)
    groups = np.asarray(groups)
    if groups.shape != order.shape or groups.min() < 0:
        raise ValueError(f"groups must be {len(order)} integers ≥ 0, got shape {groups.shape}")
    counts = np.add.reduceat(np.eye(groups.max() + 1)[groups[order]], starts)
    return counts / counts.sum(1, keepdims=True)


def _bins(order: ArrayLike, bins: int) -> tuple[IntArray, IntArray]:
    """The order as int64, and where in it each bin begins."""
    order = np.asarray(order, dtype=np.int64)
    n = order.size
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError(f"order must be a permutation of 0 to n − 1, got shape {order.shape}")
    if not 1 <= bins <= n:
        raise ValueError(f"bins={bins}: must be 1 to {n}, the number of parameters")
    return order, np.linspace(0, n, bins + 1).round().astype(np.int64)[:-1]
