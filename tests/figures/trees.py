"""Fiedler trees to draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import FiedlerTree, fiedler_tree


def random_tree(n: int, seed: int) -> FiedlerTree:
    """The tree of random couplings with two blocks."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((n, n)) * (1 + 20 * np.eye(2).repeat(n // 2, 0).repeat(n // 2, 1))
    return fiedler_tree(matrix + matrix.T)


def caterpillar(n: int) -> NDArray[np.float64]:
    """A tree that takes off one leaf at a time, with heights 1, 2, …, n − 1."""
    rows = np.arange(n - 1)
    return np.column_stack(
        [np.where(rows == 0, 0, n + rows - 1), rows + 1, rows + 1.0, rows + 2]
    ).astype(float)
