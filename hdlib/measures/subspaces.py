"""How a vector lies to a subspace, and two subspaces to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def squared_cosines(vector: FloatArray, basis: FloatArray) -> FloatArray:
    """Fraction of a vector's squared norm along each of orthonormal directions.

    Their sum is the fraction inside the subspace: 1 if the vector lies in it, k/n on average for a
    random one (Gur-Ari et al. 2018, equation 5, take it for gradient and top Hessian eigenvectors).

    Args:
        vector: (n,), not zero.
        basis: (n, k), orthonormal columns.

    Returns:
        (k,) in [0, 1].

    Raises:
        ValueError: if the vector is zero or the sizes differ.
    """
    norm = np.linalg.norm(vector)
    if norm == 0 or vector.shape != basis.shape[:1]:
        raise ValueError(
            f"a vector of {len(basis)} entries, not all zero, is needed, got {vector.shape} with "
            f"norm {norm}"
        )
    return (basis.T @ (vector / norm)) ** 2


def subspace_overlap(first: FloatArray, second: FloatArray) -> float:
    """Mean squared cosine of the principal angles, ‖AᵀB‖²_F / k: 1 if equal, k/n if random.

    Args:
        first: A, (n, k), orthonormal columns.
        second: B, (n, k), orthonormal columns.

    Raises:
        ValueError: if the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"subspaces must have one shape, got {first.shape} and {second.shape}")
    return float(((first.T @ second) ** 2).sum() / first.shape[1])
