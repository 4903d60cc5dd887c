"""Decoder-only transformers on [a, op, b, =], read at the last position: plain, and routed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.models.prefixes import NEVER, Prefixes, Reads, all_prefixes, every_position
from hdlib.models.routing import Gate, Heads, Routed, RoutingState, Trace, feed_forward

STANDARD_DEVIATION = 0.02
LENGTH = 4
LEAK = 1.0
"""What is added to the scores of later positions where they are attended to."""

Mask: TypeAlias = Literal["causal", "leaky"]
"""Whether a position attends to earlier ones only, or to later ones most."""
Initial: TypeAlias = Literal["normal", "pytorch"]
"""Weights of N(0, 0.02²) and biases 0 throughout, or PyTorch's own of each kind of layer."""


class PrefixAttention(nn.Module):
    """Multi-head attention of some rows to others, without biases.

    Args:
        width: d.
        n_heads: H, a divisor of d; scores are scaled by 1/√(d/H).
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, asking: Tensor, reads: Reads) -> Tensor:
        """What rows ``asking`` (m, d) get from rows x (R, d), (m, d)."""
        heads = (self.n_heads, -1)
        q = self.query(asking).unflatten(1, heads)
        k, v = (
            F.embedding(reads.seen, rows).unflatten(2, heads)
            for rows in (self.key(x), self.value(x))
        )
        scores = (q[:, None] * k).sum(3) / q.shape[-1] ** 0.5 + reads.bias[..., None]
        mixed = (torch.softmax(scores, 1)[..., None] * v).sum(1)
        return self.output(mixed.flatten(1))


class Block(nn.Module):
    """x ← x + Attention(LN x); x ← x + F(LN x), with F a feed-forward network, or heads of them.

    Args:
        width: d.
        n_heads: heads of the attention.
        hidden: units of each feed-forward network.
        n_routed: how many of them a gate weighs; 0 for one without a gate.
    """

    def __init__(self, width: int, n_heads: int, *, hidden: int, n_routed: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), PrefixAttention(width, n_heads)
        self.norm = nn.LayerNorm(width)
        self.gate = Gate(width, n_routed) if n_routed else None
        self.feed_forward = (
            Heads(width, hidden, n_routed) if n_routed else feed_forward(width, hidden)
        )

    def forward(
        self, x: Tensor, state: Tensor | None, reads: Reads, rows: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Rows after the block, and the gate's weights.

        Args:
            x: (R, d).
            state: (R, d) what the gate knows, where there is one.
            reads: what each row attends to.
            rows: those that are computed; all where it is None.
        """
        normed = self.attention_norm(x)
        if rows is None:
            x = x + self.attention(normed, normed, reads)
        else:
            x = x[rows] + self.attention(normed, normed[rows], reads.at(rows))
            state = None if state is None else state[rows]
        normed = self.norm(x)
        if self.gate is None:
            return x + self.feed_forward(normed), None
        weights = self.gate(state, normed)
        return x + self.feed_forward(normed, weights), weights


class GrokTransformer(nn.Module):
    """A pre-norm decoder on sequences of four tokens, with p logits at the last position.

    Token and position embeddings; L blocks (`Block`, feed-forward networks of 4d units by default);
    a last layer norm; Linear(d, p) with a bias, or, tied, logits r · E[c] of the residues' own
    embeddings. Every weight of a linear layer or an embedding is drawn from N(0, 0.02²), all biases
    are 0 (as in GPT-2).

    With ``n_routed`` feed-forward networks in parallel it is the routed transformer: a gate weighs
    them at each position. It reads a state, at first a linear function of the mean embedding of
    the tokens that the position sees, later updated as in `RoutingState`; so a position is a
    function of its prefix there, too. With "leaky" attention a position attends to later ones as
    well, their scores raised by 1: what a boolean mask does that is added to the scores.

    Args:
        p: modulus.
        n_tokens: size of the vocabulary, residues first.
        width: d.
        n_layers: L.
        n_heads: heads of the attention, a divisor of d.
        n_routed: feed-forward networks that a gate weighs; 0 for the plain transformer.
        hidden: units of each of them; 4d where it is None.
        tied: whether the residues' embeddings are the output layer.
        mask: which positions are attended to.
        initial: how initial weights are drawn; a gate's last layer has its own in any case.

    Raises:
        ValueError: if an argument is not what is allowed.
    """

    def __init__(
        self,
        p: int,
        *,
        n_tokens: int,
        width: int,
        n_layers: int,
        n_heads: int,
        n_routed: int = 0,
        hidden: int | None = None,
        tied: bool = False,
        mask: Mask = "causal",
        initial: Initial = "normal",
    ) -> None:
        super().__init__()
        if n_heads < 1 or width % n_heads:
            raise ValueError(f"n_heads={n_heads}: must be a divisor of the width, which is {width}")
        for name, value, kind in (("mask", mask, Mask), ("initial", initial, Initial)):
            if value not in get_args(kind):
                raise ValueError(f"{name}={value!r}: allowed are {', '.join(get_args(kind))}")
        self.p, self.mask = p, mask
        self.tokens = nn.Embedding(n_tokens, width)
        self.positions = nn.Embedding(LENGTH, width)
        self.state = RoutingState(width, n_layers) if n_routed else None
        self.blocks = nn.ModuleList(
            Block(width, n_heads, hidden=hidden or 4 * width, n_routed=n_routed)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.read_out = None if tied else nn.Linear(width, p)
        if initial == "normal":
            self.apply(_draw)
            self.apply(lambda module: module.begin() if isinstance(module, Gate) else None)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token and position embeddings, (n, 4, d), of tokens (n, 4)."""
        return self.tokens(tokens) + self.positions.weight

    def forward(self, tokens: Tensor | Prefixes) -> Tensor | Routed:
        """Logits (n, p); with the weights of each layer at the last position, where it is routed.

        Args:
            tokens: (n, 4) int64, or what `hdlib.models.distinct_prefixes` makes of them (causal
                attention only): the same function, with a row for each prefix.
        """
        return self._outputs(*self._path(*self._rows(tokens)))

    def from_embeddings(self, embedded: Tensor) -> Tensor | Routed:
        """The same as a function of the embeddings (n, 4, d) that `embed` gives."""
        n, length, _ = embedded.shape
        reads = every_position(n, length, embedded.device, later=self._later)
        return self._outputs(*self._path(embedded.flatten(0, 1), reads))

    def representation(self, tokens: Tensor | Prefixes) -> Tensor:
        """The residual stream (n, d) before the output layer, after the last layer norm."""
        return self.norm(self._path(*self._rows(tokens))[0][-1])

    @torch.no_grad()
    def trace(self, tokens: Tensor | Prefixes) -> Trace:
        """The path of the last position through the network; no weights where nothing is routed."""
        return Trace(*self._path(*self._rows(tokens)))

    def _rows(self, tokens: Tensor | Prefixes) -> tuple[Tensor, Reads]:
        if isinstance(tokens, Tensor):
            tokens = all_prefixes(tokens, later=self._later)
        elif self.mask != "causal":
            raise ValueError("where later positions are attended to, prefixes do not tell all")
        return self.tokens(tokens.tokens) + self.positions(tokens.positions), tokens.reads

    @property
    def _later(self) -> float:
        return NEVER if self.mask == "causal" else LEAK

    def _path(self, x: Tensor, reads: Reads) -> tuple[list[Tensor], list[Tensor]]:
        state = self.state.start(_mean_seen(x, reads)) if self.state else None
        hidden, weights = [x[reads.last]], []
        for layer, block in enumerate(self.blocks):
            # After the last block nothing is read but the last position.
            is_last = layer == len(self.blocks) - 1
            x, w = block(x, state, reads, reads.last if is_last else None)
            hidden.append(x if is_last else x[reads.last])
            if self.state and state is not None and w is not None:
                weights.append(w if is_last else w[reads.last])
                state = self.state.after(layer, state, x)
        return hidden, weights

    def _outputs(self, hidden: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor | Routed:
        r = self.norm(hidden[-1])
        logits = r @ self.tokens.weight[: self.p].T if self.read_out is None else self.read_out(r)
        return Routed(logits, weights) if self.state else logits


def _mean_seen(x: Tensor, reads: Reads) -> Tensor:
    """Mean (R, d) of the rows that each row attends to."""
    seen = reads.bias.isfinite().to(x.dtype)
    return torch.einsum("rt,rtd->rd", seen / seen.sum(1, keepdim=True), F.embedding(reads.seen, x))


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=STANDARD_DEVIATION)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
