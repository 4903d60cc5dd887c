"""Attention of one query to pairs that are known beforehand, and its gradient by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hdlib.models.rows import WeightedRows


class RowTables(NamedTuple):
    """Scores of all tokens, and rows: values with the matrix after them multiplied in.

    Attributes:
        scores: (2p, H) scores of the first number, then of the second, less that of "=".
        rows: (H · 2p, m) values of each head, less that of "=", times its rows of the matrix.
        constant: (m,) output of a pair that attends to "=" alone.
    """

    scores: Tensor
    rows: Tensor
    constant: Tensor


class PairAttention:
    """y = c + Σₕⱼ wⱼₕ Tₕⱼ of n pairs, with w the softmax over j of the scores sⱼₕ of a head.

    A pair's j are a and p + b, rows 2p h + j of T, and "=", with score 0 and no row. With g the
    derivative of a loss by y, dⱼₕ = ⟨g, Tₕⱼ⟩ is that by a weight, and

        wⱼₕ (dⱼₕ − Σᵢ wᵢₕ dᵢₕ) by a score,   wⱼₕ g by a row,   g by c,

    each summed over the pairs that have it.

    Args:
        tokens: (n, 3) int64 sequences [a, b, =].
        p: number of tokens beside "=".
        n_heads: H.

    Raises:
        ValueError: if tokens are no such sequences.

    Attributes:
        index: (n, 2H) int64, rows of each pair: those of a and b in every head.
        rows: sums of these rows.
    """

    def __init__(self, tokens: Tensor, *, p: int, n_heads: int) -> None:
        if tokens.shape[1:] != (3,):
            raise ValueError(f"tokens have shape {tuple(tokens.shape)}, expected (n, 3)")
        low, high = tokens[:, :2].min(), tokens[:, :2].max()
        if low < 0 or high >= p:
            raise ValueError(f"tokens {low} … {high} before the last, allowed are 0 … {p - 1}")
        self._numbers = torch.stack([tokens[:, 0], tokens[:, 1] + p])
        self._shape = 2 * p, n_heads
        heads = torch.arange(n_heads, device=tokens.device)
        self.index = (2 * p * heads[:, None] + self._numbers.T[:, None]).flatten(1)
        self.rows = WeightedRows(self.index, 2 * p * n_heads)

    def __call__(self, tables: RowTables) -> Tensor:
        """Outputs y (n, m), which can be differentiated once."""
        return _Attention.apply(self, *tables)

    def weights(self, scores: Tensor) -> Tensor:
        """Weights w (2, n, H) of a and b, from the scores of the tables."""
        return torch.softmax(F.pad(self.gathered(scores), (0, 0, 0, 0, 0, 1)), 0)[:2]

    def outputs(self, weights: Tensor, tables: RowTables) -> Tensor:
        """Outputs y (n, m)."""
        return self.rows.sums(by_pair(weights), tables.rows).add_(tables.constant)

    def slopes(self, g: Tensor, rows: Tensor) -> Tensor:
        """Derivatives d (2, n, H) by the weights."""
        return self.rows.products(g, rows).unflatten(1, (-1, 2)).permute(2, 0, 1)

    def gradient(self, g: Tensor, weights: Tensor, slopes: Tensor) -> RowTables:
        """Derivatives by the tables."""
        mean = (weights * slopes).sum(0)
        by_score = self.scattered(weights * (slopes - mean))
        return RowTables(by_score, self.rows.scattered(by_pair(weights), g), g.sum(0))

    def gathered(self, scores: Tensor) -> Tensor:
        """Of each pair (2, n, H) what all numbers have (2p, H)."""
        return F.embedding(self._numbers, scores)

    def scattered(self, scores: Tensor) -> Tensor:
        """Sums (2p, H) of what pairs have (2, n, H) over those with each number."""
        total = scores.new_zeros(self._shape)
        return total.index_add_(0, self._numbers.flatten(), scores.flatten(0, 1))


def by_pair(weights: Tensor) -> Tensor:
    """Weights (2, n, H) as (n, 2H), in the order of the rows."""
    return weights.permute(1, 2, 0).flatten(1)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pairs: PairAttention, *tables: Tensor) -> Tensor:
        of_model = RowTables(*tables)
        weights = pairs.weights(of_model.scores)
        ctx.pairs = pairs
        ctx.save_for_backward(weights, of_model.rows)
        return pairs.outputs(weights, of_model)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        # PyTorch's own guard looks at g alone, which may be constant while the weights are not.
        if torch.is_grad_enabled():
            raise RuntimeError("attention over known pairs can be differentiated once")
        weights, rows = ctx.saved_tensors
        pairs: PairAttention = ctx.pairs
        return None, *pairs.gradient(g, weights, pairs.slopes(g, rows))
