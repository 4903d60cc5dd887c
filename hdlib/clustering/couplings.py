"""The graph of couplings |H|: its pieces, and its range of numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SYMMETRIC = 1e-10
"""Largest |H − Hᵀ| over the largest |H| that counts as rounding."""
SAFE_EXPONENT = 400
"""Beyond entries of 2 to the power of ± this, products of two leave the range of float64."""


def coupling_graph(hessian: ArrayLike) -> FloatArray:
    """A = |H| without its diagonal, (n, n) float64.

    Raises:
        ValueError: if H is not square with at least two rows, real, finite and symmetric.
    """
    couplings, exponent = scaled_couplings(hessian)
    return np.ldexp(couplings, exponent) if exponent else couplings


def scaled_couplings(hessian: ArrayLike) -> tuple[FloatArray, int]:
    """Couplings / 2^e and e, which is 0 but where products would leave the range of float64.

    Raises:
        ValueError: as for `coupling_graph`.
    """
    if isinstance(hessian, Tensor):
        # NumPy has no bfloat16, and takes nothing from a GPU.
        kind = torch.complex128 if hessian.is_complex() else torch.float64
        hessian = hessian.detach().to("cpu", kind).numpy()
    matrix = np.asarray(hessian)
    if np.iscomplexobj(matrix):
        raise ValueError(f"the matrix must be real, got {matrix.dtype}: take .real where it is")
    matrix = matrix.astype(np.float64, copy=False)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"a square matrix of at least 2 × 2 is needed, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        i, j = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(f"the matrix must be finite, got {matrix[i, j]} at ({i}, {j})")
    with np.errstate(over="ignore"):
        skew = np.abs(matrix - matrix.T)
    # The smallest number of all is a rounding error, too.
    if skew.max() > max(SYMMETRIC * np.abs(matrix).max(), np.finfo(float).smallest_subnormal):
        i, j = np.unravel_index(skew.argmax(), skew.shape)
        raise ValueError(
            f"the matrix must be symmetric, got {matrix[i, j]:g} at ({i}, {j}) and "
            f"{matrix[j, i]:g} at ({j}, {i})"
        )
    del skew
    couplings = np.abs(matrix)
    couplings = np.maximum(couplings, couplings.T)
    np.fill_diagonal(couplings, 0)
    exponent = int(np.frexp(couplings.max())[1])
    if abs(exponent) <= SAFE_EXPONENT:
        return couplings, 0
    return np.ldexp(couplings, -exponent, out=couplings), exponent


def in_units(numbers: FloatArray, exponent: int) -> FloatArray:
    """λ₂ or heights, times 2^exponent.

    Raises:
        ValueError: if they leave the range of float64.
    """
    with np.errstate(over="ignore", under="ignore"):
        numbers = np.ldexp(numbers, exponent)
    if not np.isfinite(numbers).all():
        raise ValueError(
            "λ₂ or heights 1/λ₂ leave the range of float64: take a multiple of the matrix, or the "
            "normalised Laplacian"
        )
    return numbers


def components(graph: FloatArray) -> list[IntArray]:
    """Members of the connected components, the largest first, of equals the one seen first."""
    if graph[graph.sum(0).argmax()].astype(bool).sum() == len(graph) - 1:
        # One node is coupled to all others.
        return [np.arange(len(graph))]
    labels = connected_components(csr_array(graph), directed=False)[1]
    ordered = by_size(labels)
    return [np.flatnonzero(ordered == label) for label in range(ordered.max() + 1)]


def by_size(labels: IntArray) -> IntArray:
    """The same groups, numbered from the largest on, of equals from the one seen first."""
    _, first, inverse, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[inverse]
