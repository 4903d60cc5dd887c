"""Products with an operator in a range where squares can be taken."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature.symmetric import SymmetricOperator

SAFE_EXPONENT = {torch.float64: 400, torch.float32: 40}
"""Beyond numbers of 2 to the power of ± this, squares and their sums leave the type's range."""


class ScaledOperator:
    """A / 2^e for a symmetric operator A, with e chosen by its first product that is not zero.

    Where squares of that product are within range, e is 0; elsewhere its numbers are brought near
    1, half of the way by scaling the vectors, so that products neither overflow nor lose digits.
    Multiplying by a power of two is exact, so what is computed from A / 2^e is that of A, up to
    this power. Vectors may have more digits than the operator multiplies.

    Args:
        operator: symmetric operator A.
        dtype: type of the vectors; by default float64.
        like: scaled operator of nearly the same products, whose e is taken.

    Attributes:
        shape: size of the operator, (n, n).
        device: device of the vectors that are multiplied.
        dtype: type of the vectors that are multiplied.
        eps: relative rounding of the products.
        exponent: e of the factor 2⁻ᵉ.
    """

    def __init__(
        self,
        operator: SymmetricOperator,
        *,
        dtype: torch.dtype = torch.float64,
        like: ScaledOperator | None = None,
    ) -> None:
        self.shape, self.device, self.dtype = operator.shape, operator.device, dtype
        self.eps = torch.finfo(operator.dtype).eps
        self.exponent = like.exponent if like else 0
        self._chosen = like is not None
        self._operator = operator

    def __matmul__(self, block: Tensor) -> Tensor:
        """A V / 2^e of V (n, b).

        Raises:
            ValueError: if it is not finite.
        """
        half = -self.exponent // 2
        scaled = block * 2.0**half if half else block
        image = self._operator @ scaled.to(self._operator.dtype)
        largest = image.abs().max().item() if image.numel() else 0.0
        if not math.isfinite(largest):
            raise ValueError("a product with the matrix is not finite")
        if largest and not self._chosen:
            self._chosen = True
            exponent = math.frexp(largest)[1]
            if abs(exponent) > SAFE_EXPONENT[self._operator.dtype]:
                self.exponent = exponent
                return self @ block
        image = image.to(self.dtype)
        return image * 2.0 ** (-self.exponent - half) if self.exponent else image


def times_power_of_two(numbers: Tensor, exponent: int) -> Tensor:
    """Numbers times 2^exponent, exact but where they leave the type's range.

    In two steps, since 2^exponent may lie out of range itself.
    """
    half = exponent // 2
    return numbers * 2.0**half * 2.0 ** (exponent - half)


def scaled_back(name: str, numbers: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    """Numbers times 2^exponent.

    Raises:
        ValueError: if one is too large for float64.
    """
    if exponent == 0:
        return numbers
    with np.errstate(over="ignore", under="ignore"):
        numbers = np.ldexp(numbers, exponent)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} leave the range of float64: take a multiple of the matrix")
    return numbers
