"""Modular arithmetic: all pairs of residues, and what an operation makes of them."""

from __future__ import annotations

from math import isqrt
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Operation: TypeAlias = Literal["add", "multiply"]


class Pairs(NamedTuple):
    """Pairs of residues and the result of the operation on them, and their encodings.

    Attributes:
        a: (n,) int64 in 0 … p − 1.
        b: (n,) int64 in 0 … p − 1.
        targets: (n,) int64, a + b or a · b mod p.
        p: the modulus.
    """

    a: Tensor
    b: Tensor
    targets: Tensor
    p: int

    def tokens(self) -> Tensor:
        """(n, 3) int64 sequences [a, b, =], with token p for "="."""
        return torch.stack([self.a, self.b, torch.full_like(self.a, self.p)], 1)

    def tokens_with_operation(self) -> Tensor:
        """(n, 4) int64 sequences [a, op, b, =], with token p for "=" and p + 1 for "op".

        The token is the same for each operation, since a task has only one (Power et al. 2022).
        """
        equals = torch.full_like(self.a, self.p)
        return torch.stack([self.a, equals + 1, self.b, equals], 1)

    def both(self) -> Tensor:
        """(n, 2) int64: a and b."""
        return torch.stack([self.a, self.b], 1)

    def raw(self) -> Tensor:
        """(n, 2) float32: a and b as they are, 0 … p − 1."""
        return self.both().float()

    def one_hot(self) -> Tensor:
        """(n, 2p) float32: the one-hot vector of a, then that of b."""
        return torch.cat([F.one_hot(self.a, self.p), F.one_hot(self.b, self.p)], 1).float()

    def scalars(self) -> Tensor:
        """(n, 2) float32: a and b, standardised over all residues to mean 0 and variance 1."""
        mean, deviation = (self.p - 1) / 2, ((self.p**2 - 1) / 12) ** 0.5
        return (self.raw() - mean) / deviation


class ModularTask(NamedTuple):
    """All pairs of residues, split and whole; each in the order of a·p + b.

    Attributes:
        train: a random part.
        test: the rest.
        grid: all p² pairs; (a, b) is number a·p + b.
    """

    train: Pairs
    test: Pairs
    grid: Pairs

    @property
    def mirrored(self) -> Tensor:
        """(test pairs,) bool: whether (b, a) is a training pair.

        Both operations commute, so that such a pair (a, b) can be right from memory alone.
        """
        p = self.grid.p
        trained = torch.zeros(p, p, dtype=torch.bool)
        trained[self.train.a, self.train.b] = True
        return trained[self.test.b, self.test.a]


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
        operation: "add" or "multiply".
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
    targets = (a + b if operation == "add" else a * b) % p
    # In order within each split: neighbouring pairs share rows of the look-up tables.
    trained = torch.from_numpy(_training_pairs(p, size, seed, unordered=unordered))
    parts = trained, ~trained, torch.ones_like(trained)
    return ModularTask(*(Pairs(a[part], b[part], targets[part], p) for part in parts))


def _training_pairs(p: int, size: int, seed: int, *, unordered: bool) -> NDArray[np.bool_]:
    """(p²,) bool: which pairs are trained on."""
    generator = np.random.default_rng(seed)
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
