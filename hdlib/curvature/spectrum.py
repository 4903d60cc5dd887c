"""The whole spectrum of a dense symmetric matrix, with certified extreme eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature.lanczos import BLOCK, ConvergenceError, lanczos

TOLERANCE = 1e-10
"""Largest residual of an eigenpair, and largest closure error, relative to the largest |λ|."""
KRYLOV_FRACTION = 4
"""The Krylov space may grow to n over this; beyond it a full decomposition is as fast."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of a symmetric matrix A, and some of its eigenvectors.

    Attributes:
        eigenvalues: (n,) float64, ascending.
        indices: (m,) int64, which eigenvalues have a vector.
        vectors: (n, m) float64, orthonormal columns.
        residuals: (m,) float64, ‖Av − λv‖₂ of each pair, λ its entry of ``eigenvalues``.
        trace_error: |Σλ − tr A| over Σ|λ|.
        frobenius_error: |(Σλ²)^½ − ‖A‖_F| over ‖A‖_F.
    """

    eigenvalues: NDArray[np.float64]
    indices: NDArray[np.int64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    trace_error: float
    frobenius_error: float

    def top(self, k: int) -> NDArray[np.float64]:
        """Eigenvectors of the k largest eigenvalues, (n, k), that of the largest first.

        Raises:
            ValueError: if fewer than k of them are known.
        """
        wanted = len(self.eigenvalues) - 1 - np.arange(k)
        position = np.searchsorted(self.indices, wanted)
        if k > len(self.indices) or not np.array_equal(self.indices[position], wanted):
            raise ValueError(f"the top {k} eigenvectors were asked for, not all are known")
        return self.vectors[:, position]


def spectrum(matrix: Tensor, *, vectors: int = 50) -> Spectrum:
    """All eigenvalues of a symmetric matrix, and the eigenvectors at both ends.

    The eigenvalues come from one tridiagonalisation (LAPACK `syevd` without vectors). The wanted
    vectors of a large matrix come from block Lanczos (`hdlib.curvature.lanczos`) and are certified
    against the complete list: each pair's residual is computed with the λ of its rank, so a pair
    that was missed or found twice could not pass. Where Lanczos would need too large a space, and
    for small matrices, all vectors are computed and the wanted ones kept.

    At most three matrices of this size are in memory, the given one among them.

    Args:
        matrix: (n, n) float64, symmetric; not changed.
        vectors: how many eigenvectors at each end; all n where that is n or more in total.

    Raises:
        ValueError: if the matrix is not square, symmetric and finite, or ``vectors`` is negative.
        ConvergenceError: if a residual exceeds 1e-10 |λ|max, or trace or Frobenius norm does not
            close to 1e-10.

    Example:
        >>> s = spectrum(torch.diag(torch.tensor([3.0, -1.0, 2.0])).double(), vectors=1)
        >>> s.eigenvalues.tolist(), s.indices.tolist()
        ([-1.0, 2.0, 3.0], [0, 2])
    """
    _check(matrix, vectors)
    n = len(matrix)
    matrix = matrix.detach()
    indices = torch.arange(n)
    if 2 * vectors < n:
        indices = torch.cat([indices[:vectors], indices[n - vectors :]])
    pairs = None
    if vectors > 0 and 4 * vectors + 6 * BLOCK <= n // KRYLOV_FRACTION:
        pairs = _extreme(matrix, vectors)
    if pairs is None and vectors > 0:
        values, full = torch.linalg.eigh(matrix)
        wanted = full[:, indices.to(full.device)]
        del full
    else:
        values = torch.linalg.eigvalsh(matrix)
        wanted = matrix.new_empty(n, 0) if pairs is None else pairs
    residuals = (matrix @ wanted - wanted * values[indices.to(values.device)]).norm(dim=0)
    trace_error = (values.sum() - matrix.trace()).abs() / values.abs().sum().clamp_min(1e-300)
    norm = matrix.norm()
    frobenius_error = (values.norm() - norm).abs() / norm.clamp_min(1e-300)
    result = Spectrum(
        values.cpu().numpy(),
        indices.numpy(),
        wanted.cpu().numpy(),
        residuals.cpu().numpy(),
        trace_error.item(),
        frobenius_error.item(),
    )
    _certify(result)
    return result


def _extreme(matrix: Tensor, vectors: int) -> Tensor | None:
    """Eigenvectors at both ends; None where they would need more products than it has rows / 4."""
    limit = len(matrix) // KRYLOV_FRACTION
    try:
        pairs = lanczos(
            matrix,
            top=vectors,
            bottom=vectors,
            tol=TOLERANCE / 10,
            space=limit,
            max_products=limit,
        )
    except ConvergenceError:
        return None
    return torch.from_numpy(pairs.vectors).to(matrix.device)


def _certify(result: Spectrum) -> None:
    largest = np.abs(result.eigenvalues).max()
    if not (result.residuals <= TOLERANCE * largest).all():
        worst = int(result.residuals.argmax())
        raise ConvergenceError(
            f"the eigenpair of rank {result.indices[worst]} has residual "
            f"{result.residuals[worst]:.2e}, allowed are {TOLERANCE * largest:.2e}"
        )
    for name, error in (
        ("trace", result.trace_error),
        ("Frobenius norm", result.frobenius_error),
    ):
        if not error <= TOLERANCE:
            raise ConvergenceError(f"{name} of matrix and eigenvalues differ by {error:.2e}")


def _check(matrix: Tensor, vectors: int) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"a square matrix is needed, got shape {tuple(matrix.shape)}")
    if matrix.dtype != torch.float64:
        raise ValueError(f"a float64 matrix is needed, got {matrix.dtype}")
    if vectors < 0:
        raise ValueError(f"vectors must not be negative, got {vectors}")
    scale = matrix.abs().max()
    if not torch.isfinite(scale):
        row, column = (~torch.isfinite(matrix)).nonzero()[0].tolist()
        raise ValueError(f"the matrix is not finite: {matrix[row, column]} at ({row}, {column})")
    asymmetry = (matrix - matrix.T).abs_()
    if asymmetry.max() > 1e-12 * scale:
        row, column = divmod(int(asymmetry.argmax()), len(matrix))
        raise ValueError(
            f"the matrix is not symmetric: {matrix[row, column]} at ({row}, {column}), "
            f"{matrix[column, row]} at ({column}, {row})"
        )
