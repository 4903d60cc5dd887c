"""Modular arithmetic: all pairs of residues, and what an operation makes of them."""

from __future__ import annotations

from math import isqrt
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Operation: TypeAlias = Literal["add", "multiply", "both"]
"""What is made of two residues; "both" has every pair twice, once with each operation."""


class Pairs(NamedTuple):
    """Pairs of residues and the result of the operation on them, and their encodings.

    Attributes:
        a: (n,) int64 in 0 … p − 1.
        b: (n,) int64 in 0 … p − 1.
        targets: (n,) int64, a + b or a · b mod p.
        p: the modulus.
        operation: (n,) int64, number of the operation among those of the task: with both, 0 for
            addition and 1 for multiplication.
    """

    a: Tensor
    b: Tensor
    targets: Tensor
    p: int
    operation: Tensor

    def tokens(self) -> Tensor:
        """(n, 3) int64 sequences [a, b, =], with token p for "="."""
        self._require_one_operation()
        return torch.stack([self.a, self.b, torch.full_like(self.a, self.p)], 1)

    def tokens_with_operation(self) -> Tensor:
        """(n, 4) int64 sequences [a, op, b, =], with token p for "=", p + 1 for the operation.

        With both operations multiplication has token p + 2 (Power et al. 2022).
        """
        equals = torch.full_like(self.a, self.p)
        return torch.stack([self.a, equals + 1 + self.operation, self.b, equals], 1)

    def both(self) -> Tensor:
        """(n, 2) int64: a and b."""
        self._require_one_operation()
        return torch.stack([self.a, self.b], 1)

    def raw(self) -> Tensor:
        """(n, 2) float32: a and b as they are, 0 … p − 1."""
        return self.both().float()

    def one_hot(self) -> Tensor:
        """(n, 2p) float32: the one-hot vector of a, then that of b."""
        self._require_one_operation()
        return torch.cat([F.one_hot(self.a, self.p), F.one_hot(self.b, self.p)], 1).float()

    def scalars(self) -> Tensor:
        """(n, 2) float32: a and b, standardised over all residues to mean 0 and variance 1."""
        mean, deviation = (self.p - 1) / 2, ((self.p**2 - 1) / 12) ** 0.5
        return (self.raw() - mean) / deviation

    def _require_one_operation(self) -> None:
        if self.operation.any():
            raise ValueError(
                "two operations on the same pairs need tokens_with_operation(): "
                "other encodings do not say which one is meant"
            )


class ModularTask(NamedTuple):
    """All pairs of residues, split and whole; each in the order of a·p + b.

    With both operations, additions come first.

    Attributes:
        train: a random part, the same share of each operation.
        test: the rest.
        grid: all p² pairs; (a, b) is number a·p + b; with both operations twice p².
    """

    train: Pairs
    test: Pairs
    grid: Pairs

    @property
    def mirrored(self) -> Tensor:
        """(test pairs,) bool: whether (b, a) is a training pair of the same operation.

        Both operations commute, so that such a pair (a, b) can be right from memory alone.
        """
        p, train, test = self.grid.p, self.train, self.test
        trained = torch.zeros(int(self.grid.operation.max()) + 1, p, p, dtype=torch.bool)
        trained[train.operation, train.a, train.b] = True
        return trained[test.operation, test.b, test.a]


def is_prime(p: int) -> bool:
    """Whether a number is a prime, by trial division."""
    return p > 1 and all(p % divisor for divisor in range(2, isqrt(p) + 1))


def modular_task(
    p: int,
    operation: Operation = "add",
    *,
    train_fraction: float,
    seed: int,
    unordered: bool = False,
) -> ModularTask:
    """All p² pairs (a, b) of an operation mod p, a random part of them to train on.

    Args:
        p: a prime, so that multiplication has inverses and every nonzero frequency a full period.
        operation: "add", "multiply", or "both".
        train_fraction: share of the training pairs, in (0, 1); their number is rounded down.
        seed: seed of the split, ≥ 0.
        unordered: whether (a, b) and (b, a) are always on the same side of the split, so that no
            test pair is right from the memory of its mirror; the number of training pairs may then
            be one less.

    Raises:
        ValueError: if an argument is not what is allowed, or a split would be empty.
    """
    if not is_prime(p):
        raise ValueError(f"p={p}: must be a prime")
    if operation not in get_args(Operation):
        raise ValueError(
            f"operation is {operation!r}; allowed are {', '.join(get_args(Operation))}"
        )
    least = 1 + unordered
    if not least <= train_fraction * p**2 < p**2:
        raise ValueError(
            f"train_fraction={train_fraction}: must be below 1 and at least {least}/{p**2}"
        )
    size = int(train_fraction * p**2)
    a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    results = {"add": (a + b) % p, "multiply": a * b % p}
    chosen = list(results) if operation == "both" else [operation]
    generator = np.random.default_rng(seed)
    # In order within each split: neighbouring pairs share rows of the look-up tables.
    trained = torch.from_numpy(
        np.concatenate([_training_pairs(p, size, generator, unordered=unordered) for _ in chosen])
    )
    n = len(chosen)
    grid = Pairs(
        a.repeat(n),
        b.repeat(n),
        torch.cat([results[name] for name in chosen]),
        p,
        torch.arange(n).repeat_interleave(p**2),
    )
    return ModularTask(_part(grid, trained), _part(grid, ~trained), grid)


def _part(pairs: Pairs, which: Tensor) -> Pairs:
    a, b, targets, p, operation = pairs
    return Pairs(a[which], b[which], targets[which], p, operation[which])


def _training_pairs(
    p: int, size: int, generator: np.random.Generator, *, unordered: bool
) -> NDArray[np.bool_]:
    """(p²,) bool: which pairs are trained on."""
    trained = np.zeros((p, p), dtype=bool)
    if unordered:
        low, high = np.triu_indices(p)
        order = generator.permutation(len(low))
        low, high = low[order], high[order]
        fits = np.where(low == high, 1, 2).cumsum() <= size
        trained[low[fits], high[fits]] = trained[high[fits], low[fits]] = True
    else:
        trained.flat[generator.permutation(p**2)[:size]] = True
    return trained.ravel()
