"""Symmetric matrices and operators, in all the forms that people have them in."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

ASYMMETRY = 1e-12
"""Largest |A − Aᵀ| over the largest |A| that counts as rounding."""
SKEW = 1e-2
"""Largest |uᵀAv − vᵀAu| over the largest |uᵀAv| that counts as rounding of products."""
LARGEST_INTEGER = 2**53
"""Up to here float64 has them all."""


class SymmetricOperator(Protocol):
    """A symmetric n × n matrix A known by its products; a tensor is one.

    Attributes:
        shape: size of the operator, (n, n).
        device: device of the vectors that are multiplied.
        dtype: type of the vectors that are multiplied, float64 or float32.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def __matmul__(self, block: Tensor, /) -> Tensor:
        """A V for a block V (n, b)."""
        ...


Matrix = Tensor | NDArray[Any] | scipy.sparse.sparray | scipy.sparse.spmatrix | LinearOperator
"""A symmetric matrix as PyTorch, NumPy and SciPy have them."""


class SciPyOperator:
    """A sparse SciPy matrix or a SciPy operator, for tensors.

    Attributes:
        shape: size of the operator, (n, n).
        device: the CPU.
        dtype: type of the vectors, float32 for an operator of that type, else float64.
    """

    device = torch.device("cpu")

    def __init__(self, matrix: Any) -> None:
        self.shape: tuple[int, ...] = tuple(matrix.shape)
        self.dtype = torch.float32 if matrix.dtype == np.float32 else torch.float64
        self._matrix = matrix

    def __matmul__(self, block: Tensor) -> Tensor:
        # What is not finite is found by whoever asks for the product.
        with np.errstate(over="ignore", invalid="ignore"):
            image = self._matrix @ block.numpy()
        return torch.from_numpy(np.ascontiguousarray(image))


def as_operator(matrix: Matrix | SymmetricOperator) -> SymmetricOperator:
    """A matrix or operator as one that multiplies float64 or float32 tensors.

    Integers and short floats become float64 where that is exact: a float32 *matrix* is a float64
    one, while an operator of type float32 multiplies in it. Entries are not looked at, but for
    those of a sparse matrix.

    Raises:
        TypeError: for what is no matrix.
        ValueError: if it is not square, not real, of a type that float64 does not hold, or sparse
            and not finite or not symmetric.
    """
    if isinstance(matrix, np.ndarray):
        _require_real(matrix.dtype)
        operator = torch.from_numpy(np.require(_exact(matrix), None, ["C", "W"]))
    elif isinstance(matrix, scipy.sparse.sparray | scipy.sparse.spmatrix):
        operator = SciPyOperator(_checked_sparse(scipy.sparse.csr_array(matrix)))
    elif isinstance(matrix, LinearOperator):
        _require_real(np.dtype(matrix.dtype))
        operator = SciPyOperator(matrix)
    elif isinstance(matrix, Tensor):
        operator = matrix.detach()
        if operator.layout != torch.strided or operator.is_meta:
            raise TypeError(
                "a dense tensor with values is needed: give a sparse one as a SciPy matrix, or "
                ".to_dense()"
            )
        if not operator.is_complex():
            if not operator.is_floating_point() and operator.numel():
                _require_exact(int(operator.abs().max()))
            operator = operator.to(torch.float64)
    elif all(hasattr(matrix, name) for name in ("shape", "device", "dtype", "__matmul__")):
        operator = matrix
    else:
        raise TypeError(
            "a tensor, a NumPy array, a SciPy matrix or an operator with shape, device, dtype and "
            f"@ is needed, got {type(matrix).__name__}"
        )
    _require_square(operator.shape)
    if operator.dtype.is_complex:
        raise ValueError(f"a real matrix is needed, got {operator.dtype}: take .real where it is")
    if operator.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"a float64 or float32 operator is needed, got {operator.dtype}")
    return operator


def require_symmetric_products(inner: Tensor) -> None:
    """Refuse an operator whose VᵀAV, (b, b), is not symmetric, for random vectors V.

    Rounding stays far below the limit, a matrix that is not symmetric far above it.

    Raises:
        ValueError: if uᵀAv and vᵀAu differ by more than a hundredth of the largest of them.
    """
    skew = (inner - inner.T).abs().max()
    if skew > SKEW * inner.abs().max():
        raise ValueError(
            "the matrix is not symmetric: uᵀAv and vᵀAu differ by "
            f"{(skew / inner.abs().max()).item():.0%} for random u and v"
        )


def _checked_sparse(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    _require_real(matrix.dtype)
    _require_square(matrix.shape or ())
    matrix.data = _exact(matrix.data)
    if not np.isfinite(matrix.data).all():
        raise ValueError("the matrix is not finite")
    largest = np.abs(matrix.data).max(initial=0)
    skew = abs(matrix - matrix.T).max() if matrix.nnz else 0.0
    if skew > ASYMMETRY * largest:
        raise ValueError(f"the matrix is not symmetric: A − Aᵀ has an entry of {skew:.2e}")
    return matrix


def _exact(array: NDArray) -> NDArray[np.float64]:
    """The same numbers as float64."""
    if array.dtype.kind in "iu" and array.size:
        _require_exact(max(abs(int(array.min())), abs(int(array.max()))))
    return np.asarray(array, dtype=np.float64)


def _require_exact(largest: int) -> None:
    if largest > LARGEST_INTEGER:
        raise ValueError(f"float64 does not hold all integers up to {largest}")


def _require_real(dtype: np.dtype) -> None:
    if dtype.kind == "c":
        raise ValueError(f"a real matrix is needed, got {dtype}: take .real where it is")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"a matrix of numbers that float64 holds is needed, got {dtype}")


def _require_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"a square matrix is needed, got shape {tuple(shape)}")
