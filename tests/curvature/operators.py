"""Operators for tests."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Operator:
    """A matrix of which only products are known, counted."""

    def __init__(self, matrix: Tensor | NDArray, dtype: torch.dtype = torch.float64) -> None:
        self.matrix = torch.as_tensor(matrix).to(dtype)
        self.shape = tuple(self.matrix.shape)
        self.device, self.dtype = self.matrix.device, dtype
        self.products = 0

    def __matmul__(self, block: Tensor) -> Tensor:
        assert block.dtype == self.dtype
        self.products += block.shape[1]
        return self.matrix @ block


def planted(eigenvalues, seed: int = 1) -> NDArray[np.float64]:
    """A matrix with these eigenvalues and random eigenvectors."""
    values = np.asarray(eigenvalues, dtype=np.float64)
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=2 * [len(values)]))[0]
    matrix = (q * values) @ q.T
    return (matrix + matrix.T) / 2
