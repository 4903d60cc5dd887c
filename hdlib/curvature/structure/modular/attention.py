"""Derivatives of attention over three positions with one query, by hand, as those in `chain`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.models.pair_attention import PairAttention, RowTables, by_pair
from hdlib.models.rows import WeightedRows


class _Kept(NamedTuple):
    """What of all n pairs does not depend on the direction.

    Attributes:
        weights: (2, n, H) weights w of both numbers.
        slopes: (2, n, H) derivatives d of the loss by each weight.
        g: (n, m) derivatives of the loss by y.
        rows: (R, m) rows T.
    """

    weights: Tensor
    slopes: Tensor
    g: Tensor
    rows: Tensor


class Attention:
    """y = c + Σₖ wₖ T[rₖ] of `PairAttention`, its gradient, and the derivatives of both.

    Along directions ṡ, Ṫ and ċ of scores, rows and constant

        ẇₖ = wₖ (ṡₖ − Σ wₖ ṡₖ),   ẏ = ċ + Σₖ ẇₖ T[rₖ] + wₖ Ṫ[rₖ],   ḋₖ = ⟨ġ, T[rₖ]⟩ + ⟨g, Ṫ[rₖ]⟩,

    and the derivatives of the gradients wₖ (dₖ − Σ wₖ dₖ) by scores and Σ wₖ g by rows follow by
    the product rule.

    Args:
        tables: float64 tables of the model.
        tokens: (n, 3) int64 pairs.
    """

    def __init__(self, tables: RowTables, tokens: Tensor) -> None:
        self._tables = tables
        numbers, heads = tables.scores.shape
        self._pairs = PairAttention(tokens, p=numbers // 2, n_heads=heads)
        # Both sums of a tangent at once: rows of Ṫ, and those of T below them.
        index, size = self._pairs.index, len(tables.rows)
        self._both = WeightedRows(torch.cat([index, size + index], 1), 2 * size)

    def forward(self) -> Tensor:
        """Outputs y (n, m)."""
        self._weights = self._pairs.weights(self._tables.scores)
        return self._pairs.outputs(self._weights, self._tables)

    def backward(self, g: Tensor, dtype: torch.dtype) -> RowTables:
        """Gradients of the tables; tangents that follow have the type ``dtype``."""
        weights, rows = self._weights, self._tables.rows
        slopes = self._pairs.slopes(g, rows)
        self._kept = _Kept(*(part.to(dtype) for part in (weights, slopes, g, rows)))
        return self._pairs.gradient(g, weights, slopes)

    def tangent(self, along: RowTables) -> Tensor:
        """Derivatives ẏ (n, m)."""
        weights, _, _, rows = self._kept
        scores = self._pairs.gathered(along.scores)
        self._along = along.rows
        self._moved = weights * (scores - (weights * scores).sum(0))
        both = torch.cat([by_pair(weights), by_pair(self._moved)], 1)
        return self._both.sums(both, torch.cat([along.rows, rows])).add_(along.constant)

    def tangent_backward(self, dg: Tensor) -> RowTables:
        """Derivatives of the gradients of the tables."""
        (weights, slopes, g, rows), moved, pairs = self._kept, self._moved, self._pairs
        d_slopes = pairs.slopes(dg, rows) + pairs.slopes(g, self._along)
        mean = (weights * slopes).sum(0)
        d_mean = (moved * slopes + weights * d_slopes).sum(0)
        return RowTables(
            pairs.scattered(moved * (slopes - mean) + weights * (d_slopes - d_mean)),
            pairs.rows.scattered(by_pair(moved), g) + pairs.rows.scattered(by_pair(weights), dg),
            dg.sum(0),
        )
