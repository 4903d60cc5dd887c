"""Derivatives of attention over three positions with one query, by hand, as those in `chain`."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hdlib.models.rows import WeightedRows
from hdlib.models.transformer import RowTables


class _Kept(NamedTuple):
    """What of all n pairs does not depend on the direction.

    Attributes:
        weights: (n, 2, H) weights w of both numbers.
        slopes: (n, 2, H) derivatives d of the loss by each weight.
        g: (n, m) derivatives of the loss by y.
        rows: (R, m) rows T.
    """

    weights: Tensor
    slopes: Tensor
    g: Tensor
    rows: Tensor


class Attention:
    """y = c + Σₖ wₖ T[rₖ], w the softmax of a pair's scores s, the third of which is 0, by head.

    With dₖ = ⟨g, T[rₖ]⟩ and d̄ = Σ wₖ dₖ the gradient by sₖ is wₖ (dₖ − d̄), that by a row of T is
    Σ wₖ g over the pairs that have it, and that by c is Σ g. Along directions ṡ, Ṫ and ċ

        ẇₖ = wₖ (ṡₖ − Σ wₖ ṡₖ),   ẏ = ċ + Σₖ ẇₖ T[rₖ] + wₖ Ṫ[rₖ],   ḋₖ = ⟨ġ, T[rₖ]⟩ + ⟨g, Ṫ[rₖ]⟩,

    and the derivatives of these gradients follow by the product rule.

    Args:
        tables: float64 tables of the model.
        tokens: (n, 3) int64 pairs.
    """

    def __init__(self, tables: RowTables, tokens: Tensor) -> None:
        self.tables = tables
        self._size, heads = tables.scores.shape
        self._tokens = tokens[:, :2] + tokens.new_tensor([0, self._size // 2])
        index = heads * self._tokens[:, :, None] + torch.arange(heads, device=tokens.device)
        index, size = index.flatten(1), len(tables.rows)
        self._rows = WeightedRows(index, size)
        # Both sums of a tangent at once: rows of Ṫ, and those of T below them.
        self._both = WeightedRows(torch.cat([index, size + index], 1), 2 * size)

    def forward(self) -> Tensor:
        """Values y (n, m)."""
        scores = self.tables.scores[self._tokens]
        weights = torch.softmax(F.pad(scores, (0, 0, 0, 1)), 1)
        self._weights = weights[:, :2].contiguous()
        return self._rows.sums(self._weights.flatten(1), self.tables.rows) + self.tables.constant

    def backward(self, g: Tensor, dtype: torch.dtype) -> RowTables:
        """Gradients of the tables; tangents that follow have the type ``dtype``."""
        weights = self._weights
        slopes = self._rows.products(g, self.tables.rows).view_as(weights)
        mean = (weights * slopes).sum(1, keepdim=True)
        kept = (weights, slopes, g, self.tables.rows)
        self._kept = _Kept(*(part.to(dtype) for part in kept))
        return RowTables(
            self._scattered(weights * (slopes - mean)),
            self._rows.scattered(weights.flatten(1), g),
            g.sum(0),
        )

    def tangent(self, along: RowTables) -> Tensor:
        """ẏ (n, m)."""
        weights, _, _, rows = self._kept
        scores = along.scores[self._tokens]
        self._along = along.rows
        self._moved = weights * (scores - (weights * scores).sum(1, keepdim=True))
        both = torch.cat([weights, self._moved], 1).flatten(1)
        return self._both.sums(both, torch.cat([along.rows, rows])).add_(along.constant)

    def tangent_backward(self, dg: Tensor) -> RowTables:
        """Derivatives of the gradients of the tables."""
        (weights, slopes, g, rows), moved = self._kept, self._moved
        d_slopes = self._rows.products(dg, rows) + self._rows.products(g, self._along)
        d_slopes = d_slopes.view_as(weights)
        mean = (weights * slopes).sum(1, keepdim=True)
        d_mean = (moved * slopes + weights * d_slopes).sum(1, keepdim=True)
        return RowTables(
            self._scattered(moved * (slopes - mean) + weights * (d_slopes - d_mean)),
            self._rows.scattered(moved.flatten(1), g)
            + self._rows.scattered(weights.flatten(1), dg),
            dg.sum(0),
        )

    def _scattered(self, scores: Tensor) -> Tensor:
        """(2p, H), sums of what pairs have (n, 2, H) over those with each number."""
        total = scores.new_zeros(self._size, scores.shape[2])
        return total.index_add_(0, self._tokens.flatten(), scores.flatten(0, 1))
