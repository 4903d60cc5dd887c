"""Several modular sums at once: tasks that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


class Sums(NamedTuple):
    """Samples of T independent tasks aₜ + bₜ mod pₜ, all of them asked of one network.

    Attributes:
        residues: (n, 2T) int64, a₁, b₁, a₂, b₂, …
        targets: (n, T) int64, the sums, or what stands for them where labels are shuffled.
        moduli: p₁ … p_T.
    """

    residues: Tensor
    targets: Tensor
    moduli: tuple[int, ...]

    def one_hot(self) -> Tensor:
        """(n, 2 Σ pₜ) float32: a one-hot vector for each residue."""
        sizes = np.repeat(self.moduli, 2).tolist()
        columns = zip(self.residues.T, sizes, strict=True)
        return torch.cat([F.one_hot(values, p) for values, p in columns], 1).float()

    def waves(self, frequencies: int) -> Tensor:
        """(n, 4KT) float32: cos(2πka/p) and sin(2πka/p) of each residue for k = 1 … K.

        Raises:
            ValueError: if K is not from 1 to (p − 1)/2 for each modulus.
        """
        if not 1 <= frequencies <= (min(self.moduli) - 1) // 2:
            raise ValueError(
                f"frequencies={frequencies}: must be from 1 to {(min(self.moduli) - 1) // 2}"
            )
        sizes = torch.tensor(self.moduli).repeat_interleave(2)
        waves = torch.arange(1, frequencies + 1)
        angles = 2 * torch.pi * (self.residues / sizes)[:, :, None] * waves
        return torch.stack([angles.cos(), angles.sin()], 3).flatten(1).float()


class SumsTask(NamedTuple):
    """Samples to train on, and two kinds to test on.

    Attributes:
        train: training pairs of each task in random company.
        company: the same pairs in new company: right only where the tasks are kept apart.
        unseen: pairs of each task that were not trained on, likewise; None where there are none.
    """

    train: Sums
    company: Sums
    unseen: Sums | None


def sums_task(
    moduli: Sequence[int],
    *,
    samples: int,
    train_fraction: float,
    seed: int,
    shuffled: Collection[int] = (),
) -> SumsTask:
    """T modular sums, each sample a pair of every task; which pairs come together is random.

    Each task's pairs are split by themselves. Every training pair comes equally often, up to one
    more.

    Args:
        moduli: at least one, each at least 2.
        samples: number of samples of each kind.
        train_fraction: share of each task's pairs that are trained on, in (0, 1].
        seed: of splits, company and shuffling, ≥ 0.
        shuffled: tasks whose labels are permuted at random over the pairs: they can only be
            memorised.

    Raises:
        ValueError: if a modulus, a shuffled task or the fraction is impossible, or a task has no
            training pair.
    """
    if len(moduli) == 0 or min(moduli) < 2:
        raise ValueError(f"moduli={list(moduli)}: must be at least one, each of at least 2")
    if not 0 < train_fraction <= 1 or min(moduli) ** 2 * train_fraction < 1:
        raise ValueError(f"train_fraction={train_fraction}: must be in (0, 1] and leave a pair")
    if unknown := set(shuffled) - set(range(len(moduli))):
        raise ValueError(f"shuffled: {sorted(unknown)} unknown; tasks are 0 to {len(moduli) - 1}")
    if samples < 1:
        raise ValueError(f"samples={samples}: must be at least 1")
    kinds: list[list[NDArray[np.int64]]] = [[], [], []]
    for task, p in enumerate(moduli):
        generator = np.random.default_rng((seed, task))
        pairs = generator.permutation(p**2)
        labels = np.add(*np.divmod(np.arange(p**2), p)) % p
        if task in shuffled:
            labels = generator.permutation(labels)
        seen, unseen = np.split(pairs, [int(train_fraction * p**2)])
        for kind, chosen in zip(kinds, (seen, seen, unseen), strict=True):
            if len(chosen):
                drawn = generator.permutation(np.resize(chosen, samples))
                kind.append(np.stack([*np.divmod(drawn, p), labels[drawn]]))
    train, company, *rest = (_sums(kind, moduli) for kind in kinds if len(kind) == len(moduli))
    return SumsTask(train, company, *rest or [None])


def _sums(drawn: Sequence[NDArray[np.int64]], moduli: Sequence[int]) -> Sums:
    columns = torch.from_numpy(np.stack(drawn))
    residues = columns[:, :2].flatten(0, 1).T.contiguous()
    return Sums(residues, columns[:, 2].T.contiguous(), tuple(moduli))
