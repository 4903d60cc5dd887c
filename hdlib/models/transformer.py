"""A one-layer transformer for modular arithmetic, with its forward pass in factored form."""

from __future__ import annotations

from math import inf
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.models.pair_attention import PairAttention, RowTables

Activation: TypeAlias = Literal["none", "relu"]
AttentionKind: TypeAlias = Literal["softmax", "uniform"]
MatrixStart: TypeAlias = Literal["normal", "uniform"]


class Tables(NamedTuple):
    """Scores and values by token and position, and what follows: y = base + z · after.

    A pair's z = value_last + Σₕ wₕ₀ values_a[a] + wₕ₁ values_b[b] in head h's columns, its weights
    the softmax over the scores of a, b and the last position.

    Attributes:
        scores_a: (p, H) of the first token.
        scores_b: (p, H) of the second.
        score_last: (H,) of "=".
        values_a: (p, d), less ``value_last``.
        values_b: (p, d), less ``value_last``.
        value_last: (d,) of "=".
        base: (d,) the last position's input, or (C,) its logits where the model is linear.
        after: (d, d) the output matrix, or (d, C) followed by the unembedding where it is linear.
    """

    scores_a: Tensor
    scores_b: Tensor
    score_last: Tensor
    values_a: Tensor
    values_b: Tensor
    value_last: Tensor
    base: Tensor
    after: Tensor


class ModularTransformer(nn.Module):
    """One attention layer over [a, b, =], read at the last position; no layer norm.

    With x₀ = E[a] + P₀, x₁ = E[b] + P₁ and x₂ = E[=] + P₂ the last position's residual stream is

        r = φ(x₂ + Σₕ Σᵢ wₕᵢ xᵢ Vₕ Oₕ),   wₕ = softmaxᵢ(⟨x₂ Qₕ, xᵢ Kₕ⟩ / √(d/H)),

    φ the identity or ReLU; then r ← r + W_out ReLU(W_in r + b_in) + b_out where there is an MLP,
    and the logits are r Uᵀ. (Nanda et al. 2023 with an MLP of 512 and a logit for "=".)

    Only the last position is read, and its query is the same for all pairs; so scores and values
    depend on token and position alone, 2p + 1 rows for any number of pairs, and a pair's r is a
    weighted sum of three rows. This is the same function as attention over all three positions
    (`PlainTransformer`), up to rounding.

    Attention may be uniform: all w are ⅓, and there are no Q and K. Then heads are only a way to
    write the product V O of two d × d matrices, and the function does not depend on their number.

    Args:
        p: modulus; tokens are 0 … p − 1 and p for "=".
        width: d.
        n_heads: H, a divisor of d.
        activation: φ.
        mlp_width: neurons of the MLP; none where 0.
        equals_logit: a logit for "=", too, so p + 1 in all.
        attention: "softmax" of scores, or "uniform".
        init_scale: factor on the standard deviation d^-½ of token and positional embeddings.
        matrix_start: all other matrices are drawn from the "normal" distribution with standard
            deviation d^-½, or from the "uniform" one between ±d^-½; biases are 0.

    Raises:
        ValueError: if an argument is not what is allowed.
    """

    def __init__(
        self,
        p: int,
        *,
        width: int = 128,
        n_heads: int = 4,
        activation: Activation = "none",
        mlp_width: int = 0,
        equals_logit: bool = False,
        attention: AttentionKind = "softmax",
        init_scale: float = 1.0,
        matrix_start: MatrixStart = "normal",
    ) -> None:
        super().__init__()
        if p < 2:
            raise ValueError(f"p={p}: must be at least 2")
        if width < 1:
            raise ValueError(f"width={width}: must be at least 1")
        if n_heads < 1 or width % n_heads:
            raise ValueError(f"n_heads={n_heads}: must be a divisor of the width, which is {width}")
        _allowed("activation", activation, get_args(Activation))
        _allowed("attention", attention, get_args(AttentionKind))
        _allowed("matrix_start", matrix_start, get_args(MatrixStart))
        if mlp_width < 0:
            raise ValueError(f"mlp_width={mlp_width}: must not be negative")
        if not 0 < init_scale < inf:
            raise ValueError(f"init_scale={init_scale}: must be positive and finite")
        self.p = p
        self.n_heads = n_heads
        self.activation = activation

        def rows(count: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(count, width) * (init_scale * width**-0.5))

        def matrix(count: int) -> nn.Parameter:
            return nn.Parameter(start(torch.empty(count, width)))

        def start(weight: Tensor) -> Tensor:
            if matrix_start == "uniform":
                return nn.init.uniform_(weight, -(width**-0.5), width**-0.5)
            return nn.init.normal_(weight, std=width**-0.5)

        self.embedding = rows(p + 1)
        self.position = rows(3)
        self.query = self.key = None
        if attention == "softmax":
            self.query = matrix(width)
            self.key = matrix(width)
        self.value = matrix(width)
        self.output = matrix(width)
        self.mlp = None
        if mlp_width:
            into, out = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
            for layer in (into, out):
                start(layer.weight)
                nn.init.zeros_(layer.bias)
            self.mlp = nn.Sequential(into, nn.ReLU(), out)
        self.unembedding = matrix(p + equals_logit)

    @property
    def linear(self) -> bool:
        """Whether nothing but matrices follows the attention weights."""
        return self.activation == "none" and self.mlp is None

    def tables(self) -> Tables:
        """What the forward pass needs of attention, for any pairs."""
        x0 = self.embedding[: self.p] + self.position[0]
        x1 = self.embedding[: self.p] + self.position[1]
        x2 = self.embedding[self.p] + self.position[2]
        scores_a, scores_b, score_last = (self._scores(x, x2) for x in (x0, x1, x2))
        # Weights sum to 1, so the last position's value is added once and subtracted from the rows.
        common = x2 @ self.value
        values_a, values_b = x0 @ self.value - common, x1 @ self.value - common
        base, after = x2, self.output
        if self.linear:
            # One product over the pairs instead of two.
            base, after = x2 @ self.unembedding.T, self.output @ self.unembedding.T
        return Tables(scores_a, scores_b, score_last, values_a, values_b, common, base, after)

    def row_tables(self) -> RowTables:
        """What a pass over many pairs needs, with m = d, or C where the model is linear."""
        heads, p = (self.n_heads, -1), self.p
        last = self.embedding[p] + self.position[2]
        # Of a number at a position, less "=", two parts that every product is taken with apart.
        parts = torch.cat([self.embedding[:p], self.position[:2] - last])
        scores = self._scores(parts, last)
        after, constant = self.output, last
        if self.linear:
            after, constant = after @ self.unembedding.T, last @ self.unembedding.T
        values = (parts @ self.value).unflatten(1, heads).transpose(0, 1)
        rows = values @ after.unflatten(0, heads)
        return RowTables(
            (scores[p:, None] + scores[:p]).flatten(0, 1),
            (rows[:, p:, None] + rows[:, None, :p]).flatten(0, 2),
            constant + (last @ self.value) @ after,
        )

    def queries(self) -> Tensor:
        """Query (H, e) of each head at the last position, over the root of e = d / H.

        Raises:
            ValueError: if attention is uniform.
        """
        if self.query is None:
            raise ValueError("attention is uniform: there are no queries")
        last = self.embedding[self.p] + self.position[2]
        query = (last @ self.query).unflatten(0, (self.n_heads, -1))
        return query / query.shape[1] ** 0.5

    def _scores(self, rows: Tensor, last: Tensor) -> Tensor:
        """Scores (…, H) of rows (…, d) where the last position's input is ``last`` (d,)."""
        if self.query is None or self.key is None:
            return rows.new_zeros(*rows.shape[:-1], self.n_heads)
        query = (last @ self.query) / (len(last) // self.n_heads) ** 0.5
        return rows @ (self.key * query).unflatten(1, (self.n_heads, -1)).sum(2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (n, C) at the last position of sequences [a, b, =].

        Args:
            tokens: (n, 3) integers; the last column is taken to be "=".

        Returns:
            One logit for each residue, and a last one for "=" where the model has it.

        Raises:
            ValueError: if the sequences do not have three tokens.
        """
        _check(tokens)
        tables = self.tables()
        a, b = tokens[:, 0], tokens[:, 1]
        weights = _attention(tables, tokens)[..., None]
        heads = (self.n_heads, -1)
        z = weights[0] * F.embedding(a, tables.values_a).unflatten(1, heads) + weights[
            1
        ] * F.embedding(b, tables.values_b).unflatten(1, heads)
        residual = tables.base + (tables.value_last + z.flatten(1)) @ tables.after
        return residual if self.linear else self.read_out(residual)

    factored_forward = forward  # what `tables` factor, for `hdlib.curvature`

    def logits(self, pairs: PairAttention) -> Tensor:
        """Logits (n, C) of pairs, as the forward pass gives them, to train on the same pairs often.

        Much faster with their gradient than the forward pass; they can be differentiated once.
        """
        y = pairs(self.row_tables())
        return y if self.linear else self.read_out(y)

    def attention(self, tokens: Tensor) -> Tensor:
        """How the last position attends to a, b and itself, (3, n, H); sums over the three are 1.

        Args:
            tokens: (n, 3), as the forward pass takes them.

        Raises:
            ValueError: if the sequences do not have three tokens.
        """
        _check(tokens)
        return _attention(self.tables(), tokens)

    def read_out(self, residual: Tensor) -> Tensor:
        """Logits (…, C) from the residual stream (…, d) after attention, before φ."""
        if self.activation == "relu":
            residual = torch.relu(residual)
        if self.mlp is not None:
            residual = residual + self.mlp(residual)
        return residual @ self.unembedding.T


class PlainTransformer(ModularTransformer):
    """The same model, parameters and function, computed position by position for every pair."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (n, C) at the last position of sequences [a, b, =] (n, 3)."""
        _check(tokens)
        x = F.embedding(tokens, self.embedding) + self.position

        def by_head(weight: Tensor) -> Tensor:
            return (x @ weight).unflatten(2, (self.n_heads, -1)).transpose(1, 2)

        if self.query is None or self.key is None:
            scores = x.new_zeros(len(x), self.n_heads, 3, 3)
        else:
            q, k = by_head(self.query), by_head(self.key)
            scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        attended = F.softmax(scores, 3) @ by_head(self.value)
        return self.read_out(x + attended.transpose(1, 2).flatten(2) @ self.output)[:, -1]

    factored_forward = forward


def _attention(tables: Tables, tokens: Tensor) -> Tensor:
    scores = torch.stack(
        [
            F.embedding(tokens[:, 0], tables.scores_a),
            F.embedding(tokens[:, 1], tables.scores_b),
            tables.score_last.expand(len(tokens), -1),
        ]
    )
    return torch.softmax(scores, 0)


def _allowed(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(allowed)}")


def _check(tokens: Tensor) -> None:
    if tokens.shape[1:] != (3,):
        raise ValueError(f"tokens have shape {tuple(tokens.shape)}, expected (n, 3)")
