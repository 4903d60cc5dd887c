"""Weighted sums of a table's rows."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

with warnings.catch_warnings():
    # PyTorch says once that this format is new.
    warnings.simplefilter("ignore", UserWarning)
    torch.eye(1).to_sparse_csr()


class WeightedRows:
    """Sums yᵢ = Σₖ wᵢₖ T[rᵢₖ] of k rows r for each of n samples, and the maps of their derivatives.

    These are Σᵢₖ wᵢₖ gᵢ over the entries with the same row, and ⟨gᵢ, T[rᵢₖ]⟩. As matrices, with
    W (n, R) that has the weights in the columns r: W T, Wᵀ g, and those entries of g Tᵀ that W has.
    Rows are looked up, and no array of n · k · m numbers is formed.

    Args:
        index: (n, k) int64, rows of each sample, ascending.
        size: number R of rows.
    """

    def __init__(self, index: Tensor, size: int) -> None:
        (n, k), entries = index.shape, index.flatten()
        # Entries by row, and where in that order each row begins.
        self._order = entries.argsort(stable=True)
        starts = torch.bincount(entries, minlength=size).cumsum(0)
        ends = torch.arange(0, n * k + 1, k, device=index.device)
        self._samples = (self._order // k).int()
        self._starts = torch.cat([starts.new_zeros(1), starts]).int()
        self._index, self._ends = index.int(), ends.int()
        self._shape = n, size

    def sums(self, weights: Tensor, table: Tensor) -> Tensor:
        """Sums y (n, m) = W T."""
        # Each kernel is the fast one for its type.
        if table.dtype == torch.float32:
            return F.embedding_bag(self._index, table, mode="sum", per_sample_weights=weights)
        return self._sparse(weights) @ table

    def scattered(self, weights: Tensor, g: Tensor) -> Tensor:
        """(R, m), Wᵀ g."""
        weights = weights.flatten().index_select(0, self._order)
        if g.dtype == torch.float32:
            return F.embedding_bag(
                self._samples, g, self._starts[:-1], mode="sum", per_sample_weights=weights
            )
        return _csr(self._starts, self._samples, weights, self._shape[::-1]) @ g

    def products(self, g: Tensor, table: Tensor) -> Tensor:
        """(n, k), ⟨gᵢ, T[rᵢₖ]⟩."""
        pattern = self._sparse(g.new_zeros(self._index.shape))
        found = torch.sparse.sampled_addmm(pattern, g, table.T, beta=0)
        return found.values().view(self._index.shape)

    def _sparse(self, weights: Tensor) -> Tensor:
        return _csr(self._ends, self._index.flatten(), weights.flatten(), self._shape)


def _csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)
