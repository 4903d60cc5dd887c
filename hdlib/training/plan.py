"""What is trained, on what, and what is looked at on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Row = dict[str, Any]


class State(NamedTuple):
    """Where a training stands.

    Attributes:
        model: network after ``step`` updates.
        optimizer: optimiser over its parameters.
        step: number of updates.
        memory: what a measure keeps for the next time, by name; part of what a training that was
            interrupted goes on from.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int
    memory: dict[str, Tensor]


class Log(NamedTuple):
    """Something that is measured while a network trains.

    Attributes:
        measure: state ↦ numbers by name, columns of the history; it leaves the state as it is, but
            for its memory, which is kept where the step is a multiple of the interval. A column
            "x_residual" says how sure x is.
        every: interval in steps; at checkpoints it is measured in any case.
    """

    measure: Callable[[State], Mapping[str, float]]
    every: int = 1


class Resolution(NamedTuple):
    """A rule that makes a logged step a checkpoint, so that a sudden change is resolved.

    Attributes:
        column: name of a column of the history.
        by: smallest change since the last checkpoint that makes another one.
    """

    column: str
    by: float


@dataclass(frozen=True)
class Schedule:
    """At which steps there is a row of the history, and at which checkpoints are kept.

    Attributes:
        n_steps: number of updates.
        checkpoints: steps at which weights are kept, 0 … n_steps, the last among them.
        log_steps: further steps with a row.
        resolution: rule by which more of the rows are checkpoints; None for no more.
    """

    n_steps: int
    checkpoints: frozenset[int]
    log_steps: frozenset[int]
    resolution: Resolution | None = None

    @classmethod
    def of(
        cls,
        n_steps: int,
        *,
        checkpoints: Iterable[int],
        log_steps: Iterable[int] = (),
        resolution: Resolution | None = None,
    ) -> Schedule:
        """The schedule of a training of ``n_steps``; its last step is a checkpoint."""
        return cls(n_steps, frozenset({*checkpoints, n_steps}), frozenset(log_steps), resolution)

    @property
    def steps(self) -> list[int]:
        """Steps with a row, ascending."""
        return sorted(self.checkpoints | self.log_steps)

    def view(self, rows: Iterable[Row]) -> list[Row]:
        """Those rows that are in the schedule; a longer or another training may have more."""
        wanted = self.checkpoints | self.log_steps
        return [row for row in rows if row["step"] in wanted]

    def kept(self, rows: Iterable[Row]) -> list[int]:
        """Checkpoints among rows of this schedule, from the first on; each decides for itself."""
        steps: list[int] = []
        last = 0.0
        for row in rows:
            value = row[self.resolution.column] if self.resolution else 0.0
            if row["step"] in self.checkpoints or (
                self.resolution is not None and abs(value - last) >= self.resolution.by
            ):
                steps.append(row["step"])
                last = value
        return steps


class Batches:
    """The samples of each step.

    Batches go through a new permutation of the data in each epoch, drawn from the seed and the
    epoch alone; the last one of an epoch may be smaller. A full batch keeps the data's order.

    Args:
        inputs: (N, …) tensor, on the device to train on.
        targets: (N, …) tensor, likewise.
        size: number of samples in a batch; all of them where it is None.
        seed: number that the orders are drawn from.
    """

    def __init__(
        self, inputs: Tensor, targets: Tensor, *, size: int | None = None, seed: int = 0
    ) -> None:
        self._inputs, self._targets = inputs, targets
        self._size = min(size or len(inputs), len(inputs))
        self._seed = seed
        self._epoch, self._order = -1, torch.empty(0)

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch."""
        return ceil(len(self._inputs) / self._size)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the update that follows ``step`` updates."""
        if self._size == len(self._inputs):
            return self._inputs, self._targets
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            # NumPy's seed sequences mix the pair well, where neighbouring integers would not.
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._inputs))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self._inputs.device)
        batch = self._order[position * self._size : (position + 1) * self._size]
        return self._inputs[batch], self._targets[batch]


def constant(step: int) -> float:
    """Always the whole learning rate."""
    return 1.0


@dataclass(frozen=True)
class Plan:
    """A training, at its start.

    Attributes:
        model: network at its initial weights, on the device to train on.
        optimizer: optimiser over its parameters.
        batches: samples of each step.
        loss: (model, inputs, targets) ↦ scalar loss of a step.
        logs: what is measured, and how often.
        seed: seed of torch's global random numbers, which a model may draw from.
        one_thread: whether sums are taken in one thread, in an order that does not depend on the
            number of cores.
        memory: what measures keep for the next time.
        rate: number of earlier updates ↦ factor on the optimiser's learning rates.
        clip: largest Euclidean norm of the gradient, to which a larger one is scaled.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Batches
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    logs: Collection[Log]
    seed: int = 0
    one_thread: bool = False
    memory: dict[str, Tensor] = field(default_factory=dict)
    rate: Callable[[int], float] = constant
    clip: float | None = None
