"""Nulls of the Fiedler tree: couplings without structure but for layers, and for degrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering.couplings import coupling_graph

DEGREES = 1e-9
"""Relative error of degrees that counts as none."""
MOST_SCALINGS = 1_000


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


def permuted_with_degrees(
    hessian: ArrayLike, groups: Sequence[ArrayLike], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Couplings with the degrees and layers of those of H, and random beside.

    It is a configuration model with weights (Serrano & Boguñá 2005), in which d_i d_j / Σd is
    expected of the couplings A = |H|, with d = A1: the ratios A_ij / (d_i d_j) are permuted at
    random within each block of two groups, which keeps how unequal they are, and B, what comes of
    it, is scaled to diag(x) B diag(x) with the degrees of A (Sinkhorn & Knopp 1967, its symmetric
    form). So what a tree finds in it follows from degrees and groups.

    Args:
        hessian: H, (n, n), symmetric.
        groups: disjoint indices that together are 0 … n − 1, such as those of the layers.
        generator: of the permutations.

    Returns:
        (n, n) float64, symmetric, not negative, its diagonal 0, with A's degrees to 10⁻⁹.

    Raises:
        ValueError: if H is not a real symmetric matrix of finite numbers, the groups are not a
            partition of its rows, or the permuted couplings have no such scaling.
    """
    couplings = coupling_graph(hessian)
    degrees = couplings.sum(0)
    coupled = (degrees > 0).astype(np.float64)
    inverse = coupled / np.where(degrees > 0, degrees, 1.0)
    null = permuted_within_blocks(couplings * np.outer(inverse, inverse), groups, generator)
    scale = degrees.copy()
    for _ in range(MOST_SCALINGS):
        found = scale * (null @ scale)
        if np.all(np.abs(found - degrees) <= DEGREES * degrees):
            return null * np.outer(scale, scale)
        scale *= np.sqrt(degrees / np.where(found > 0, found, 1.0))
    raise ValueError(
        f"the permuted couplings cannot be scaled to the degrees of H in {MOST_SCALINGS} steps: "
        "too many of them are 0"
    )
