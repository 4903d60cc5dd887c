"""Training as a stage: how long it goes on is in no key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdlib.store import Agreement, CannotRecomputeError, Item, Run, Stage
from hdlib.training.files import (
    HISTORY,
    WEIGHTS,
    checkpoint_name,
    last_state,
    read_rows,
    state_name,
    steps_in,
)
from hdlib.training.loop import due_steps, train
from hdlib.training.plan import Plan, Schedule, State

M = TypeVar("M", bound=nn.Module)

RESIDUAL = "_residual"
AGREEMENT = 1e-4
"""Largest relative difference of a row of the history that counts as rounding, in float32."""


class TrainingStage(Stage, Generic[M]):
    """A training whose first steps are those of any longer one.

    Args:
        name: "experiment/training".
        fields: names of the config's fields that the training depends on, and not its length.
        model: config ↦ network at its initial weights, on the CPU.
        schedule: config ↦ steps with a row, and checkpoints.
        plan: (config, device) ↦ what is trained, at its start.
        published: run ↦ checkpoints whose weights are published; all where it is None.
        extendable: run ↦ whether its last state is published, too, three times the weights.
        version: number that is raised when a correction changes the result.
    """

    def __init__(
        self,
        name: str,
        *,
        fields: tuple[str, ...],
        model: Callable[[Any], M],
        schedule: Callable[[Any], Schedule],
        plan: Callable[[Any, torch.device], Plan],
        published: Callable[[Run[Any]], Sequence[int]] | None = None,
        extendable: Callable[[Run[Any]], bool] = lambda run: True,
        version: int = 1,
    ) -> None:
        self.name = name
        self.fields = fields
        self.version = version
        self._model = model
        self._schedule = schedule
        self._plan = plan
        self._published = published or self.checkpoints
        self._extendable = extendable

    def missing(self, run: Run[Any]) -> list[str]:
        stored, schedule = run.stored(self), self._schedule(run.config)
        known = {row["step"] for row in schedule.view(read_rows(stored))}
        due = due_steps(stored, schedule)
        history = [] if known.issuperset(schedule.steps) else [HISTORY]
        return [*history, *(checkpoint_name(step) for step in due if step in known)]

    def make(self, run: Run[Any], names: Sequence[str]) -> None:
        stored, schedule = run.stored(self), self._schedule(run.config)
        train(stored, self._plan(run.config, run.device), schedule, also=names)

    def files(self, run: Run[Any]) -> list[str]:
        """Weights of all checkpoints, the last state, and the history, which vouches for them."""
        weights = [checkpoint_name(step) for step in self.checkpoints(run)]
        return [*weights, *self._state(run, before=self._schedule(run.config).n_steps), HISTORY]

    def essential(self, run: Run[Any]) -> list[str]:
        """The history, and the state that the run goes on from."""
        due = due_steps(run.stored(self), self._schedule(run.config))
        return [*(self._state(run, before=due[0]) if due else ()), HISTORY]

    def _state(self, run: Run[Any], *, before: int) -> list[str]:
        step = last_state(run.stored(self), before=before)
        return [] if step is None else [state_name(step)]

    def progress(self, run: Run[Any]) -> tuple[int, int]:
        """How many updates of the run are recorded, and how many it asks for."""
        schedule = self._schedule(run.config)
        rows = schedule.view(read_rows(run.stored(self)))
        return (rows[-1]["step"] if rows else 0), schedule.n_steps

    def recorded(self, run: Run[Any]) -> int:
        """How many updates are recorded, also where a longer run asked for them."""
        rows = read_rows(run.stored(self))
        return rows[-1]["step"] if rows else 0

    def published(self, run: Run[Any]) -> list[str]:
        """History, weights, and the last state, where the training is to be extended from it."""
        weights = [checkpoint_name(step) for step in self._published(run)]
        states = [state_name(self.checkpoints(run)[-1])] if self._extendable(run) else []
        return [HISTORY, *weights, *states]

    def history(self, run: Run[Any]) -> dict[str, NDArray]:
        """Columns of the history, up to the run's last step.

        Raises:
            DamagedRunError: if the history is missing or altered.
        """
        table = run.table(self, HISTORY)
        shown = np.isin(table["step"], self._schedule(run.config).steps)
        return {name: values[shown] for name, values in table.items()}

    def checkpoints(self, run: Run[Any]) -> list[int]:
        """Checkpoints of the run, ascending, also those whose weights were dropped."""
        schedule = self._schedule(run.config)
        return schedule.kept(schedule.view(read_rows(run.stored(self))))

    def with_weights(self, run: Run[Any]) -> list[int]:
        """Checkpoints of the run whose weights are there, ascending."""
        there = {*steps_in(run.stored(self), WEIGHTS)}
        return [step for step in self.checkpoints(run) if step in there]

    def weights(self, run: Run[Any], step: int) -> dict[str, Tensor]:
        """Weights at a checkpoint, by name.

        Raises:
            ValueError: if the run does not have them.
        """
        if not run.stored(self).has(checkpoint_name(step)):
            raise ValueError(f"step={step}: weights are kept at {self.with_weights(run)}")
        return run.tensors(self, checkpoint_name(step))

    def weights_source(self, run: Run[Any], step: int) -> list[tuple[Stage, str]]:
        """The file of the weights at a checkpoint, as a source of another stage's files."""
        return [(self, checkpoint_name(step))]

    def weights_and_last(self, run: Run[Any], step: int) -> list[tuple[Stage, str]]:
        """The same with that of the weights at the last checkpoint, each file once."""
        steps = dict.fromkeys((step, self.checkpoints(run)[-1]))
        return [source for at in steps for source in self.weights_source(run, at)]

    def model(self, run: Run[Any], step: int) -> M:
        """The network at a checkpoint, on the CPU.

        Raises:
            ValueError: if the run does not have its weights.
        """
        model = self._model(run.config)
        model.load_state_dict(self.weights(run, step))
        return model

    def state(self, run: Run[Any], step: int) -> dict[str, Tensor]:
        """Whole state at a checkpoint, as `hdlib.training.state_tensors` gives it.

        Raises:
            DamagedRunError: if it is not kept.
        """
        return run.tensors(self, state_name(step))

    def checked(self, run: Run[Any]) -> list[Item]:
        return list(self.with_weights(run))

    def check(self, run: Run[Any], item: Item) -> list[Agreement]:
        """Compare a row of the history with what is measured on the stored weights."""
        if not isinstance(item, int) or not run.stored(self).has(checkpoint_name(item)):
            raise CannotRecomputeError(f"{self.name}: the weights at step {item} are not kept")
        plan, history = self._plan(run.config, run.device), self.history(run)
        plan.model.load_state_dict(self.weights(run, item))
        at = int(np.searchsorted(history["step"], item))
        measured = {}
        for log in plan.logs:
            measured |= log.measure(State(plan.model, plan.optimizer, item, {}))
        errors = []
        for name, value in measured.items():
            if name.endswith(RESIDUAL):
                continue
            stored = float(history[name][at])
            unsure = measured.get(f"{name}{RESIDUAL}", 0.0)
            if np.isnan(value) or np.isnan(stored):
                both = np.isnan(value) and np.isnan(stored)
                errors.append(0.0 if both else np.inf)
                continue
            apart = max(abs(value - stored) - unsure, 0.0)
            errors.append(apart / max(abs(stored), 1e-8))
        return [Agreement("row of the history over itself", max(errors), AGREEMENT)]
