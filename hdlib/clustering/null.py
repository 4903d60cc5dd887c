"""The null of the Fiedler tree: couplings without structure within the layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def permuted_within_blocks(
    hessian: ArrayLike, groups: Sequence[ArrayLike], generator: np.random.Generator
) -> NDArray[np.float64]:
    """H with its entries permuted at random within each block of two groups of parameters.

    Every pair of groups keeps its couplings, so what a tree finds in the result is what the groups
    alone say. The result is symmetric; its diagonal is 0.

    Args:
        hessian: H, (n, n), symmetric.
        groups: disjoint indices that together are 0 … n − 1, such as those of the layers.
        generator: of the permutations.

    Raises:
        ValueError: if the groups are not a partition of the rows of a square matrix.
    """
    matrix = np.asarray(hessian, dtype=np.float64)
    members = [np.asarray(group) for group in groups]
    n = len(matrix)
    if matrix.shape != (n, n) or not np.array_equal(np.sort(np.concatenate(members)), np.arange(n)):
        raise ValueError(f"groups must be a partition of the rows of a square matrix, here of {n}")
    permuted = np.zeros((n, n))
    for a, rows in enumerate(members):
        upper = np.triu_indices(len(rows), 1)
        within = np.zeros((len(rows), len(rows)))
        within[upper] = generator.permutation(matrix[np.ix_(rows, rows)][upper])
        permuted[np.ix_(rows, rows)] = within + within.T
        for columns in members[a + 1 :]:
            block = matrix[np.ix_(rows, columns)]
            block = generator.permutation(block.ravel()).reshape(block.shape)
            permuted[np.ix_(rows, columns)] = block
            permuted[np.ix_(columns, rows)] = block.T
    return permuted
