"""Symmetric operators that multiply, add and scale."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from hdlib.curvature.symmetric import Matrix, SymmetricOperator, as_operator


class CurvatureOperator(ABC):
    """A symmetric n × n operator A, as ``A @ block``, ``A + B``, ``A - B``, ``2 * A`` and ``-A``.

    Args:
        size: number n of rows.
        device: device of the vectors that are multiplied.
        dtype: type of the vectors that are multiplied.

    Attributes:
        shape: size of the operator, (n, n).
        device: device of the vectors that are multiplied.
        dtype: type of the vectors that are multiplied.
    """

    def __init__(self, size: int, device: torch.device, dtype: torch.dtype) -> None:
        self.shape = (size, size)
        self.device = device
        self.dtype = dtype

    @abstractmethod
    def _multiply(self, block: Tensor) -> Tensor:
        """A V of V (n, b), in the operator's type."""

    def __matmul__(self, block: Tensor) -> Tensor:
        """A V (n, b) of V (n, b), or A v (n,) of v (n,).

        Raises:
            TypeError: if V is no tensor.
            ValueError: if V does not have n rows of the operator's type.
        """
        if not isinstance(block, Tensor):
            raise TypeError(f"vectors must be a tensor, got {type(block).__name__}")
        if block.ndim not in (1, 2) or len(block) != self.shape[1]:
            raise ValueError(f"vectors must be ({self.shape[1]}, b), got {tuple(block.shape)}")
        if block.dtype != self.dtype:
            raise ValueError(f"vectors must be {self.dtype}, got {block.dtype}")
        with torch.inference_mode(False), torch.no_grad():
            block = block.clone() if block.is_inference() else block
            if block.ndim == 1:
                return self._multiply(block[:, None])[:, 0]
            return self._multiply(block)

    def __add__(self, other: Matrix | SymmetricOperator) -> CurvatureOperator:
        return Combination([(1.0, self), (1.0, as_operator(other))])

    def __radd__(self, other: Matrix | SymmetricOperator | int) -> CurvatureOperator:
        if isinstance(other, int) and other == 0:  # with which `sum` starts
            return self
        return self + cast(SymmetricOperator, other)

    def __sub__(self, other: Matrix | SymmetricOperator) -> CurvatureOperator:
        return Combination([(1.0, self), (-1.0, as_operator(other))])

    def __mul__(self, factor: float) -> CurvatureOperator:
        if not isinstance(factor, Real):
            return NotImplemented
        return Combination([(float(factor), self)])

    __rmul__ = __mul__

    def __truediv__(self, factor: float) -> CurvatureOperator:
        return self * (1 / factor) if isinstance(factor, Real) else NotImplemented

    def __neg__(self) -> CurvatureOperator:
        return -1.0 * self

    def to_scipy(self) -> LinearOperator:
        """The same as a SciPy `LinearOperator` on NumPy arrays, for `scipy.sparse.linalg.eigsh`."""
        return _SciPy(self)


class Combination(CurvatureOperator):
    """Σ cᵢ Aᵢ of symmetric operators or matrices of one size, device and type.

    Raises:
        ValueError: if they differ in these, or a factor is not a finite number.
    """

    def __init__(self, terms: Sequence[tuple[float, SymmetricOperator]]) -> None:
        first = terms[0][1]
        for factor, operator in terms:
            if not np.isfinite(factor):
                raise ValueError(f"the factor of an operator must be finite, got {factor}")
            for what in ("shape", "device", "dtype"):
                one, other = (getattr(each, what) for each in (first, operator))
                if one != other:
                    raise ValueError(f"operators must be of one {what}, got {one} and {other}")
        super().__init__(first.shape[0], first.device, first.dtype)
        self._terms = list(terms)

    def _multiply(self, block: Tensor) -> Tensor:
        total = torch.zeros_like(block)
        for factor, operator in self._terms:
            total += factor * (operator @ block)
        return total


class _SciPy(LinearOperator):
    """An operator on NumPy arrays."""

    def __init__(self, operator: CurvatureOperator) -> None:
        super().__init__(np.dtype(str(operator.dtype).removeprefix("torch.")), operator.shape)
        self._operator = operator

    def _matmat(self, X: NDArray) -> NDArray:
        if np.iscomplexobj(X):
            return self._matmat(np.real(X)) + 1j * self._matmat(np.imag(X))
        vectors = torch.from_numpy(np.ascontiguousarray(X, dtype=self.dtype))
        return (self._operator @ vectors.to(self._operator.device)).cpu().numpy()

    def _matvec(self, x: NDArray) -> NDArray:
        return self._matmat(x.reshape(-1, 1))

    _rmatmat = _matmat
    _rmatvec = _matvec
