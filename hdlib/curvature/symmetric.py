"""What a symmetric matrix must offer where only its products are needed."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class SymmetricOperator(Protocol):
    """A symmetric n × n matrix A known by its products; a tensor is one.

    Attributes:
        shape: (n, n).
        device: of the vectors it multiplies.
        dtype: of the vectors it multiplies, float64 but for searches.
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
