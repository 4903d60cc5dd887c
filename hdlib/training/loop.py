"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import nullcontext

import torch
from tqdm import tqdm

from hdlib.store import Stored, one_thread
from hdlib.training.files import (
    STATES,
    checkpoint_name,
    read_rows,
    restore_state,
    state_name,
    steps_in,
    write_checkpoint,
    write_rows,
    write_state,
)
from hdlib.training.plan import Plan, Row, Schedule, State
from hdlib.training.random_numbers import seeded


def due_steps(stored: Stored, schedule: Schedule, also: Collection[str] = ()) -> list[int]:
    """Steps whose row or weights are missing, or whose state is damaged, ascending.

    Args:
        stored: files of the training.
        schedule: what is asked for.
        also: weights and states that are asked for even if they were dropped on purpose.
    """
    rows = schedule.view(read_rows(stored))
    known = {row["step"] for row in rows}
    due = {step for step in schedule.steps if step not in known}
    # A published state is needed by who asks for it; it is no part of what makes a run complete.
    states = {step for step in steps_in(stored, STATES) if stored.is_own(state_name(step))}
    for step in schedule.kept(rows):
        name = checkpoint_name(step)
        if not stored.has(name) and (name in also or not stored.dropped(name)):
            due.add(step)
        if (state_name(step) in also or step in states) and not stored.has(state_name(step)):
            due.add(step)
    return sorted(due)


def train(stored: Stored, plan: Plan, schedule: Schedule, *, also: Collection[str] = ()) -> None:
    """Train a model in place, and write history, weights and states: those that are missing.

    It goes on from the last state that is kept; so a training that was killed ends bit-identical to
    one that was not, and one that is extended to one that was longer from the start. Weights that
    are computed again are compared with what is recorded of them.

    A row of the history has the step, the epoch, what the plan's logs measure (NaN where one does
    not at this step) and the learning rate of the last update. Measuring takes nothing from the
    random numbers of training.

    Args:
        stored: files of the training, held for writing.
        plan: model, optimiser, data and loss, at the start.
        schedule: steps with a row, and checkpoints.
        also: weights and states that are written even if they were dropped on purpose.

    Raises:
        FloatingPointError: if the loss is not finite; everything written before it is kept.
        ChangedError: if weights come out different from what is recorded of them.
        DamagedRunError: if the history or a state is no such thing.
    """
    due = due_steps(stored, schedule, also)
    if not due:
        return
    rows = read_rows(stored)
    lrs = [float(group["lr"]) for group in plan.optimizer.param_groups]
    with one_thread() if plan.one_thread else nullcontext(), seeded(plan.seed):
        step = restore_state(stored, plan, before=due[0])
        with tqdm(total=due[-1], initial=step, desc="training", unit="step", disable=None) as bar:
            _loop(stored, plan, schedule, rows, set(also), lrs, range(step, due[-1] + 1), bar)


def _loop(
    stored: Stored,
    plan: Plan,
    schedule: Schedule,
    rows: list[Row],
    also: set[str],
    lrs: list[float],
    steps: range,
    bar: tqdm,
) -> None:
    started = time.monotonic()
    wanted, known = set(schedule.steps), {row["step"] for row in rows}
    for step in steps:
        _set_rates(plan, lrs, max(step - 1, 0))
        if step in wanted:
            if new := step not in known:
                rows.append(_row(plan, step, checkpoint=step in schedule.checkpoints))
                rows.sort(key=lambda row: row["step"])
            kept = schedule.kept(schedule.view(rows))
            if step in kept:
                write_checkpoint(stored, plan, step, restore=checkpoint_name(step) in also)
            if new or step in kept:
                write_state(stored, plan, step, keep=kept)
                # The row comes last: where there is one, nothing else of its step was cut off.
                if new:
                    write_rows(stored, rows)
                stored.add_seconds(time.monotonic() - started)
                started = time.monotonic()
        if step == steps[-1]:
            break
        _set_rates(plan, lrs, step)
        _update(stored, plan, step)
        bar.update()


def _set_rates(plan: Plan, lrs: list[float], step: int) -> None:
    """Learning rates of the update that follows ``step`` updates."""
    for group, lr in zip(plan.optimizer.param_groups, lrs, strict=True):
        group["lr"] = lr * plan.rate(step)


def _update(stored: Stored, plan: Plan, step: int) -> None:
    plan.optimizer.zero_grad()
    value = plan.loss(plan.model, *plan.batches.at(step))
    if not torch.isfinite(value):
        raise FloatingPointError(
            f"the training loss is {value.item()} at step {step}; lower the learning rate. "
            f"What was logged before it is kept in {stored.home}"
        )
    value.backward()
    if plan.clip is not None:
        torch.nn.utils.clip_grad_norm_(plan.model.parameters(), plan.clip)
    plan.optimizer.step()


def _row(plan: Plan, step: int, *, checkpoint: bool) -> Row:
    row: Row = {"step": step, "epoch": step / plan.batches.steps_per_epoch}
    with torch.random.fork_rng(devices=[]):
        for log in plan.logs:
            regular = step % log.every == 0
            if regular or checkpoint:
                # Another length of training has other checkpoints; its next rows are the same.
                memory = plan.memory if regular else dict(plan.memory)
                row |= log.measure(State(plan.model, plan.optimizer, step, memory))
    return row | {"lr": float(plan.optimizer.param_groups[0]["lr"])}
