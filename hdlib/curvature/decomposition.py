"""The spectrum of a symmetric matrix or operator: all of it, or both of its ends."""

from __future__ import annotations

from operator import index
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from hdlib.curvature.lanczos import BLOCK, lanczos
from hdlib.curvature.memory import announce
from hdlib.curvature.scaled import SAFE_EXPONENT, scaled_back, times_power_of_two
from hdlib.curvature.spectrum import ConvergenceError, Spectrum
from hdlib.curvature.symmetric import ASYMMETRY, Matrix, SymmetricOperator, as_operator

TOLERANCE = 1e-10
"""Largest residual of an eigenpair, and largest closure error, relative to the largest |λ|."""
KRYLOV_FRACTION = 4
"""The Krylov space may grow to n over this; beyond it a full decomposition is as fast."""
VECTORS = 50
"""At each end of a matrix, where nothing else is said."""


class LanczosOptions(TypedDict, total=False):
    """Options of `hdlib.lanczos`, for operators."""

    tol: float
    search: Matrix | SymmetricOperator
    start: Tensor
    space: int
    max_products: int
    seed: int
    mark: bool


def spectrum(
    matrix: Matrix | SymmetricOperator,
    *,
    top: int | None = None,
    bottom: int | None = None,
    vectors: int | None = None,
    **options: Unpack[LanczosOptions],
) -> Spectrum:
    """Eigenvalues of a symmetric matrix, and the eigenpairs at both ends.

    Of an *operator*, also of a sparse matrix, the pairs at both ends are found by `hdlib.lanczos`,
    and nothing else is known.

    Of a *matrix* all eigenvalues come from one tridiagonalisation (LAPACK `syevd` without vectors).
    The wanted vectors of a large matrix come from block Lanczos and are certified against the
    complete list: each pair's residual is computed with the λ of its rank, so a pair that was
    missed or found twice could not pass. Where Lanczos would need too large a space, and for small
    matrices, all vectors are computed and the wanted ones kept.

    Memory, in matrices of this size, the given one among them: two for the eigenvalues, and half of
    one for Lanczos; four where all vectors are computed; one more where the matrix is not float64,
    or its entries are so large or small that their squares leave the range of float64 and a scaled
    copy is used.

    Args:
        matrix: symmetric n × n matrix or operator: a tensor, a NumPy array, a sparse SciPy matrix,
            a SciPy `LinearOperator`, or any `SymmetricOperator`, such as `hdlib.HessianOperator`;
            not changed. Integers and shorter floats are taken as float64.
        top: number of pairs at the upper end; 0 where only the other end is asked for. Of a matrix
            all n where both ends together would be more; of an operator that is an error.
        bottom: number of pairs at the lower end.
        vectors: number of a matrix's pairs at each end, in place of both; by default 50.
        options: options of `hdlib.lanczos`, for operators.

    Raises:
        TypeError: for what is no matrix or operator, or options of Lanczos for a matrix.
        ValueError: if the matrix is not square, real, symmetric and finite, or a number is negative
            or missing.
        MemoryError: if the arrays would not fit into memory; what they take is logged first.
        ConvergenceError: if a residual exceeds 1e-10 |λ|max, or trace or Frobenius norm does not
            close to 1e-10; for an operator if Lanczos does not converge.

    Example:
        >>> s = spectrum(torch.diag(torch.tensor([3.0, -1.0, 2.0])), top=1, bottom=1)
        >>> s.eigenvalues.tolist(), s.indices.tolist()
        ([-1.0, 2.0, 3.0], [0, 2])
    """
    operator = as_operator(matrix)
    asked = {"top": top, "bottom": bottom, "vectors": vectors}
    top, bottom, vectors = (None if k is None else index(k) for k in asked.values())
    for name, value in asked.items():
        if value is not None and value < 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    ends = top is not None or bottom is not None
    if ends and vectors is not None:
        raise ValueError(f"vectors={vectors} stands for both top and bottom: give it, or these")
    if not isinstance(operator, Tensor):
        if not ends:
            raise ValueError(
                "of an operator only the ends of the spectrum can be found: say how many "
                "eigenpairs, as in spectrum(operator, top=20, bottom=20)"
            )
        return lanczos(operator, top=top or 0, bottom=bottom or 0, **options)
    if options:
        raise TypeError(f"{', '.join(options)}: only for operators, all of a matrix is decomposed")
    if not ends:
        top = bottom = VECTORS if vectors is None else vectors
    return _whole(operator, top or 0, bottom or 0)


def _whole(matrix: Tensor, top: int, bottom: int) -> Spectrum:
    """All eigenvalues of a matrix, and the pairs at both ends."""
    n = len(matrix)
    given, (matrix, exponent) = matrix, _in_range(matrix)
    _require_symmetric(matrix, given)
    indices = torch.arange(n)
    if top + bottom < n:
        indices = torch.cat([indices[:bottom], indices[n - top :]])
    pairs, products = None, 0
    if len(indices) and 2 * len(indices) + 6 * BLOCK <= n // KRYLOV_FRACTION:
        pairs, products = _extreme(matrix, top, bottom)
    if pairs is None and len(indices):
        # LAPACK `syevd` works in two more matrices beside that of the vectors.
        announce(f"all eigenvectors of a {n:,} × {n:,} matrix", 3 * 8 * n**2, matrix.device)
        values, wanted = torch.linalg.eigh(matrix)
        if len(indices) < n:
            wanted = wanted[:, indices.to(wanted.device)]
    else:
        announce(f"all eigenvalues of a {n:,} × {n:,} matrix", 8 * n**2, matrix.device)
        values = torch.linalg.eigvalsh(matrix)
        wanted = matrix.new_empty(n, 0) if pairs is None else pairs
    rest = matrix @ wanted
    residuals = rest.addcmul_(wanted, values[indices.to(values.device)], value=-1).norm(dim=0)
    del rest
    trace_error = (values.sum() - matrix.trace()).abs() / values.abs().sum().clamp_min(1e-300)
    norm = matrix.norm()
    frobenius_error = (values.norm() - norm).abs() / norm.clamp_min(1e-300)
    eigenvalues = scaled_back("eigenvalues", values.cpu().numpy(), exponent)
    result = Spectrum(
        n=n,
        eigenvalues=eigenvalues,
        lowest=n,
        indices=indices.numpy(),
        residuals=scaled_back("residuals", residuals.cpu().numpy(), exponent),
        vectors=wanted.cpu().numpy(),
        scale=float(np.abs(eigenvalues).max()),
        tol=TOLERANCE,
        products=products,
        trace_error=trace_error.item(),
        frobenius_error=frobenius_error.item(),
    )
    _certify(result)
    return result


def _extreme(matrix: Tensor, top: int, bottom: int) -> tuple[Tensor | None, int]:
    """Eigenvectors at both ends, and the products for them.

    None where that would need more products than the matrix has rows / 4.
    """
    limit = len(matrix) // KRYLOV_FRACTION
    try:
        pairs = lanczos(
            matrix,
            top=top,
            bottom=bottom,
            tol=TOLERANCE / 10,
            space=limit,
            max_products=limit,
        )
    except ConvergenceError:
        return None, 0
    return torch.from_numpy(pairs.vectors).to(matrix.device), pairs.products


def _certify(result: Spectrum) -> None:
    failed = ~result.certified
    if failed.any():
        worst = int(result.residuals.argmax())
        raise ConvergenceError(
            f"the eigenpair of rank {result.indices[worst]} has residual "
            f"{result.residuals[worst]:.2e}, allowed are {TOLERANCE * result.scale:.2e}"
        )
    for name, error in (
        ("trace", result.trace_error),
        ("Frobenius norm", result.frobenius_error),
    ):
        if error is None or not error <= TOLERANCE:
            raise ConvergenceError(f"{name} of matrix and eigenvalues differ by {error:.2e}")


def _in_range(matrix: Tensor) -> tuple[Tensor, int]:
    """A matrix, as a scaled copy where its squares leave the range of float64, and the exponent."""
    low, high = matrix.aminmax()
    largest = max(-low.item(), high.item())
    if not np.isfinite(largest):
        row, column = (~torch.isfinite(matrix)).nonzero()[0].tolist()
        raise ValueError(f"the matrix is not finite: {matrix[row, column]} at ({row}, {column})")
    exponent = int(np.frexp(largest)[1])
    if abs(exponent) <= SAFE_EXPONENT[torch.float64]:
        return matrix, 0
    announce("a scaled copy of the matrix", 8 * matrix.numel(), matrix.device)
    return times_power_of_two(matrix, -exponent), exponent


def _require_symmetric(matrix: Tensor, given: Tensor) -> None:
    low, high = matrix.aminmax()
    asymmetry = (matrix - matrix.T).abs_()
    if asymmetry.max() > ASYMMETRY * max(-low.item(), high.item()):
        row, column = divmod(int(asymmetry.argmax()), len(matrix))
        raise ValueError(
            f"the matrix is not symmetric: {given[row, column]} at ({row}, {column}), "
            f"{given[column, row]} at ({column}, {row})"
        )
