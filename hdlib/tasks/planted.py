"""Planted partitions: Hessians of which the right clusters are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def planted_hessian(
    sizes: Sequence[int], *, noise: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A symmetric matrix of random blocks, its parameters in random order.

    The weighted, Gaussian form of the planted partition model (Condon & Karp 2001): entries are
    N(0, 1) between two parameters of one block and N(0, noise²) between those of different blocks;
    the diagonal is zero. At noise 0 the blocks are uncoupled, at noise 1 there are none.

    Args:
        sizes: of the blocks, each at least 1.
        noise: standard deviation between blocks, finite, at least 0.
        seed: of order and entries, ≥ 0.

    Returns:
        H, (n, n) float64, and the block of each parameter, (n,) int64, 0 … len(sizes) − 1.

    Raises:
        ValueError: if there is no block, one is empty, or the noise is negative or not finite.
    """
    if len(sizes) == 0 or min(sizes) < 1:
        raise ValueError(f"sizes={list(sizes)}: must be at least one block, each of at least 1")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise}: must be finite and at least 0")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    deviation = np.where(labels[:, None] == labels, 1.0, noise)
    upper = np.triu(rng.standard_normal(deviation.shape), 1) * deviation
    return upper + upper.T, labels
