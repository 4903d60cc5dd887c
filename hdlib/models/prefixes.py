"""Sequences as the prefixes that a causal transformer tells apart."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEVER = float("-inf")


class Reads(NamedTuple):
    """Which rows each row of a transformer attends to: R rows, n sequences of T positions.

    Attributes:
        seen: (R, T) int64, for each row and position the row that stands there.
        bias: (R, T), what is added to its score: −∞ where it is not attended to.
        last: (n,) int64, the row of each sequence's last position.
    """

    seen: Tensor
    bias: Tensor
    last: Tensor

    def at(self, rows: Tensor) -> Reads:
        """The same for some of the rows, as those that attend."""
        return Reads(self.seen[rows], self.bias[rows], self.last)


class Prefixes(NamedTuple):
    """The rows that a transformer computes, each with its token.

    Attributes:
        tokens: (R,) int64.
        positions: (R,) int64, 0 … T − 1.
        reads: what each row attends to.
    """

    tokens: Tensor
    positions: Tensor
    reads: Reads


def every_position(n: int, length: int, device: torch.device, *, later: float = NEVER) -> Reads:
    """A row for each position of each sequence, in order.

    Args:
        n: number of sequences.
        length: T.
        device: where the indices are.
        later: what is added to the scores of later positions; with −∞ attention is causal.
    """
    rows = torch.arange(n * length, device=device).view(n, length)
    position = torch.arange(length, device=device)
    bias = torch.where(position[:, None] >= position, 0.0, later)
    return Reads(rows.repeat_interleave(length, 0), bias.repeat(n, 1), rows[:, -1])


def all_prefixes(tokens: Tensor, *, later: float = NEVER) -> Prefixes:
    """Every position of every sequence.

    Args:
        tokens: (n, T) int64.
        later: what is added to the scores of later positions.
    """
    n, length = tokens.shape
    positions = torch.arange(length, device=tokens.device).repeat(n)
    reads = every_position(n, length, tokens.device, later=later)
    return Prefixes(tokens.flatten(), positions, reads)


def distinct_prefixes(tokens: Tensor) -> Prefixes:
    """Every prefix once.

    Where attention is causal, what a position computes is a function of its prefix alone. All p²
    sequences [a, op, b, =] have p + p + p² + p² prefixes and 4p² positions.

    Args:
        tokens: (n, T) int64.
    """
    n, length = tokens.shape
    device = tokens.device
    row, start = torch.zeros(n, dtype=torch.int64, device=device), 0
    path = torch.zeros(n, 0, dtype=torch.int64, device=device)
    parts: list[tuple[Tensor, Tensor]] = []
    for position in range(length):
        # Rows are numbered by position: an earlier row and a token make a prefix.
        named = row * (int(tokens.max()) + 1) + tokens[:, position]
        _, number = named.unique(return_inverse=True)
        row = start + number
        start += int(number.max()) + 1
        path = torch.cat([path, row[:, None]], 1)
        first = torch.full((int(number.max()) + 1,), n, device=device)
        first.scatter_reduce_(0, number, torch.arange(n, device=device), "amin")
        seen = torch.nn.functional.pad(path[first], (0, length - position - 1))
        parts.append((tokens[first, position], seen))
    positions = torch.cat(
        [torch.full((len(seen),), t, device=device) for t, (_, seen) in enumerate(parts)]
    )
    bias = torch.where(positions[:, None] >= torch.arange(length, device=device), 0.0, NEVER)
    reads = Reads(torch.cat([seen for _, seen in parts]), bias, row)
    return Prefixes(torch.cat([token for token, _ in parts]), positions, reads)
