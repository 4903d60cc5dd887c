"""Symmetric rank-k products XᵀX, accumulated."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from torch import Tensor

(syrk,) = get_blas_funcs(("syrk",), dtype=np.float64)


def mirror(matrix: Tensor, *, block: int = 512) -> Tensor:
    """Copy the lower triangle of a square matrix onto its upper one, in place."""
    for start in range(0, len(matrix), block):
        end = start + block
        corner = matrix[start:end, start:end]
        corner.copy_(corner.tril() + corner.tril(-1).T)
        matrix[start:end, end:] = matrix[end:, start:end].T
    return matrix


class RankK:
    """Running sum Σ XᵀX of float64 row blocks X (k, n), half the work of a general product.

    On a CPU it is BLAS `dsyrk` into one triangle, which PyTorch does not offer.
    """

    def __init__(self, n: int, device: torch.device) -> None:
        self.sum = torch.zeros(n, n, dtype=torch.float64, device=device)

    def add(self, rows: Tensor) -> None:
        """Add XᵀX for contiguous rows X."""
        if self.sum.is_cuda:
            self.sum.addmm_(rows.T, rows)
            return
        # Fortran sees both row-major arrays transposed: its upper triangle is our lower one.
        total = self.sum.numpy().T
        syrk(1.0, rows.numpy().T, beta=1.0, c=total, lower=0, overwrite_c=1)

    def matrix(self) -> Tensor:
        """The full symmetric sum; nothing may be added afterwards."""
        return mirror(self.sum)
