"""Derivatives of attention over three positions with one query, by hand, as those in `chain`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.curvature.structure.chain import Kept
from hdlib.curvature.structure.modular.model import AttentionTables


class _Pairs(NamedTuple):
    """Of n pairs: tokens, weights (n, H) and values (n, H, d/H) of both, and their gradients."""

    a: Tensor
    b: Tensor
    weight_a: Tensor
    weight_b: Tensor
    value_a: Tensor
    value_b: Tensor
    g: Tensor
    weight_g_a: Tensor
    weight_g_b: Tensor


class Attention:
    """z = value_last + Σₕ wₕ₀ values_a[a] + wₕ₁ values_b[b], w the softmax of three scores.

    Args:
        tables: tables of the model, of which scores and values are used.
    """

    def __init__(self, tables: AttentionTables) -> None:
        self.tables = tables
        self.n_heads = tables.scores_a.shape[1]

    def along(self, tables: AttentionTables) -> None:
        """Take directions of the tables, each with a leading axis k."""
        self._k = len(tables.base)
        self._scores_a, self._scores_b, self._values_a, self._values_b = (
            table.transpose(0, 1).flatten(1)
            for table in (tables.scores_a, tables.scores_b, tables.values_a, tables.values_b)
        )
        self._score_last, self._value_last = tables.score_last, tables.value_last
        self._sums = [
            torch.zeros_like(table)
            for table in (
                self._scores_a,
                self._scores_b,
                self._score_last,
                self._values_a,
                self._values_b,
                self._value_last,
            )
        ]

    def derivative(self) -> list[Tensor]:
        """Derivatives of the gradients of scores and values, in the order of `AttentionTables`."""
        return [
            total if total.shape[0] == self._k and index in (2, 5) else self._unfold(total)
            for index, total in enumerate(self._sums)
        ]

    def _unfold(self, total: Tensor) -> Tensor:
        return total.view(len(total), self._k, -1).transpose(0, 1)

    def forward(self, a: Tensor, b: Tensor, saved: Kept) -> Tensor:
        tables = self.tables
        scores = torch.stack(
            [tables.scores_a[a], tables.scores_b[b], tables.score_last.expand(len(a), -1)]
        )
        weight_a, weight_b, _ = torch.softmax(scores, 0)
        value_a, value_b = (
            values.unflatten(1, (self.n_heads, -1))
            for values in (tables.values_a[a], tables.values_b[b])
        )
        z = weight_a[..., None] * value_a + weight_b[..., None] * value_b
        saved[self] = a, b, weight_a, weight_b, value_a, value_b
        return tables.value_last + z.flatten(1)

    def backward(self, g: Tensor, saved: Kept, total: AttentionTables) -> None:
        """Add the gradients of scores and values to ``total``."""
        a, b, weight_a, weight_b, value_a, value_b = saved[self]
        g = g.unflatten(1, (self.n_heads, -1))
        g_a, g_b = (g * value_a).sum(2), (g * value_b).sum(2)
        kept = _Pairs(a, b, weight_a, weight_b, value_a, value_b, g, g_a, g_b)
        saved[self] = kept
        mean = weight_a * kept.weight_g_a + weight_b * kept.weight_g_b
        total.scores_a.index_add_(0, a, weight_a * (kept.weight_g_a - mean))
        total.scores_b.index_add_(0, b, weight_b * (kept.weight_g_b - mean))
        total.score_last.sub_(((1 - weight_a - weight_b) * mean).sum(0))
        total.values_a.index_add_(0, a, (weight_a[..., None] * g).flatten(1))
        total.values_b.index_add_(0, b, (weight_b[..., None] * g).flatten(1))
        total.value_last.add_(g.sum(0).flatten())

    def tangent(self, saved: Kept) -> Tensor:
        kept: _Pairs = saved[self]
        n, heads = len(kept.a), (self._k, self.n_heads, -1)
        score_a = self._scores_a[kept.a].view(n, *heads[:2])
        score_b = self._scores_b[kept.b].view(n, *heads[:2])
        weight_a, weight_b = kept.weight_a[:, None], kept.weight_b[:, None]
        last = 1 - weight_a - weight_b
        mean = weight_a * score_a + weight_b * score_b + last * self._score_last
        self._weight_a, self._weight_b = weight_a * (score_a - mean), weight_b * (score_b - mean)
        self._value_a = self._values_a[kept.a].view(n, *heads)
        self._value_b = self._values_b[kept.b].view(n, *heads)
        dz = self._value_a * weight_a[..., None]
        dz.addcmul_(self._value_b, weight_b[..., None])
        dz.addcmul_(self._weight_a[..., None], kept.value_a[:, None])
        dz.addcmul_(self._weight_b[..., None], kept.value_b[:, None])
        return dz.flatten(2).add_(self._value_last)

    def tangent_backward(self, dg: Tensor, saved: Kept) -> None:
        kept: _Pairs = saved[self]
        n = len(kept.a)
        dg = dg.view(n, self._k, self.n_heads, -1)
        g = kept.g[:, None]
        weight_a, weight_b = kept.weight_a[:, None], kept.weight_b[:, None]
        weight_g_a, weight_g_b = kept.weight_g_a[:, None], kept.weight_g_b[:, None]
        d_weight_g_a = (dg * kept.value_a[:, None]).addcmul_(self._value_a, g).sum(3)
        d_weight_g_b = (dg * kept.value_b[:, None]).addcmul_(self._value_b, g).sum(3)
        mean = weight_a * weight_g_a + weight_b * weight_g_b
        d_mean = (
            self._weight_a * weight_g_a
            + self._weight_b * weight_g_b
            + weight_a * d_weight_g_a
            + weight_b * d_weight_g_b
        )
        score_a = self._weight_a * (weight_g_a - mean) + weight_a * (d_weight_g_a - d_mean)
        score_b = self._weight_b * (weight_g_b - mean) + weight_b * (d_weight_g_b - d_mean)
        last = (self._weight_a + self._weight_b) * mean - (1 - weight_a - weight_b) * d_mean
        value_a = (dg * weight_a[..., None]).addcmul_(self._weight_a[..., None], g)
        value_b = (dg * weight_b[..., None]).addcmul_(self._weight_b[..., None], g)
        self._sums[0].index_add_(0, kept.a, score_a.flatten(1))
        self._sums[1].index_add_(0, kept.b, score_b.flatten(1))
        self._sums[2] += last.sum(0)
        self._sums[3].index_add_(0, kept.a, value_a.flatten(1))
        self._sums[4].index_add_(0, kept.b, value_b.flatten(1))
        self._sums[5] += dg.sum(0).flatten(1)
