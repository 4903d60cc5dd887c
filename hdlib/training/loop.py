"""The training loop, for mini-batches and for full batches."""

from __future__ import annotations

import time
from collections.abc import Collection
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from hdlib.loss import Loss
from hdlib.runs import Run
from hdlib.training.evaluate import evaluate

HISTORY = "history.parquet"
RESUME = "resume.safetensors"


def checkpoint_name(step: int) -> str:
    """File of the weights after ``step`` updates."""
    return f"checkpoints/step_{step:06d}.safetensors"


def stored_checkpoints(run: Run) -> list[int]:
    """Steps of which a run has the weights, ascending."""
    return run.steps("checkpoints")


def optimizer_name(step: int) -> str:
    """File of the optimiser's state after ``step`` updates."""
    return f"optimizer/step_{step:06d}.safetensors"


def train(
    run: Run,
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    train_data: tuple[Tensor, Tensor],
    test_data: tuple[Tensor, Tensor],
    *,
    n_steps: int,
    batch_size: int | None = None,
    seed: int,
    checkpoints: Collection[int],
    log_steps: Collection[int],
    resolution: float | None = None,
    keep_optimizer: bool = False,
) -> None:
    """Train ``model`` in place, and write checkpoints and history into ``run``.

    Batches go through a new permutation of the training data in each epoch, drawn from the seed and
    the epoch alone; the last one of an epoch may be smaller. A full batch keeps the data's order.
    At each checkpoint and logged step the weights, the optimiser's state and the step are kept, so
    that a run that was killed goes on from there and ends bit-identical to one that was not.

    Each row of the history has the step, the epoch, loss and accuracy over *all* training and all
    test data, the norm of the full training gradient, and the learning rate.

    Args:
        run: held for writing.
        model: at its initial weights, on the device to train on; so is the data.
        loss: mean-reduced.
        optimizer: over the model's parameters.
        train_data: inputs and classes.
        test_data: inputs and classes.
        n_steps: number of updates.
        batch_size: samples in a batch; all of them where it is None.
        seed: of the order of the samples.
        checkpoints: steps at which weights are kept, 0 … n_steps.
        log_steps: further steps for the history.
        resolution: a logged step is a checkpoint, too, if the test accuracy has moved by this much
            since the last one; so a sudden transition is resolved wherever it comes.
        keep_optimizer: keep the optimiser's state at each checkpoint, too.

    Raises:
        FloatingPointError: if the loss is not finite; everything written before it is kept.
    """
    wanted = frozenset(checkpoints) | frozenset(log_steps)
    keep = _Keep(frozenset(checkpoints), resolution, keep_optimizer)
    if _finished(run, keep, max(wanted)):
        run.remove(RESUME)
        return
    inputs, targets = train_data
    full = batch_size is None or batch_size >= len(inputs)
    batch_size = batch_size or len(inputs)
    steps_per_epoch = ceil(len(inputs) / batch_size)
    started = time.monotonic()
    step, rows = _resume(run, model, optimizer, keep)
    order = torch.empty(0)
    epoch = -1
    progress = tqdm(total=n_steps, initial=step, desc="training", unit="step", disable=None)
    while True:
        if step in wanted and (not rows or rows[-1]["step"] < step):
            epochs = step / steps_per_epoch
            rows.append(_measure(model, loss, optimizer, train_data, test_data, step, epochs))
            run.write_table(HISTORY, {key: np.array([row[key] for row in rows]) for key in rows[0]})
            if step in keep.steps(rows):
                if keep_optimizer:
                    run.write_tensors(optimizer_name(step), _optimizer_state(optimizer))
                run.write_tensors(checkpoint_name(step), model.state_dict())
            run.write_tensors(RESUME, _state(model, optimizer, step))
            run.add_seconds("training", time.monotonic() - started)
            started = time.monotonic()
        if step == n_steps:
            break
        x, y = train_data
        if not full:
            if step // steps_per_epoch != epoch:
                epoch = step // steps_per_epoch
                order = _permutation(len(inputs), seed, epoch).to(inputs.device)
            start = step % steps_per_epoch * batch_size
            batch = order[start : start + batch_size]
            x, y = inputs[batch], targets[batch]
        optimizer.zero_grad()
        value = loss(model(x), y)
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"the training loss is {value.item()} at step {step}; lower the learning rate. "
                f"What was logged before it is kept in {run.path}"
            )
        value.backward()
        optimizer.step()
        step += 1
        progress.update()
    progress.close()
    run.remove(RESUME)


class _Keep(NamedTuple):
    """Which logged steps are checkpoints, and what is kept of them."""

    scheduled: frozenset[int]
    resolution: float | None
    optimizer: bool

    def steps(self, rows: list[dict[str, Any]]) -> list[int]:
        """Those of the history so far; the last row decides only about itself."""
        steps: list[int] = []
        last = 0.0
        for row in rows:
            moved = abs(row["test_accuracy"] - last)
            if row["step"] in self.scheduled or (
                self.resolution is not None and moved >= self.resolution
            ):
                steps.append(row["step"])
                last = row["test_accuracy"]
        return steps


def _finished(run: Run, keep: _Keep, last_step: int) -> bool:
    """Whether the whole history and all checkpoints are there."""
    rows = _rows(run)
    return bool(rows) and rows[-1]["step"] == last_step and _kept(run, keep, rows)


def _rows(run: Run) -> list[dict[str, Any]]:
    """The history, row by row."""
    if not run.has(HISTORY):
        return []
    history = run.table(HISTORY)
    return [dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)]


def _kept(run: Run, keep: _Keep, rows: list[dict[str, Any]]) -> bool:
    return all(
        run.has(checkpoint_name(step)) and (not keep.optimizer or run.has(optimizer_name(step)))
        for step in keep.steps(rows)
    )


def _permutation(size: int, seed: int, epoch: int) -> Tensor:
    # NumPy's seed sequences mix the pair well, where neighbouring integers as seeds would not.
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(size))


def _measure(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    train_data: tuple[Tensor, Tensor],
    test_data: tuple[Tensor, Tensor],
    step: int,
    epochs: float,
) -> dict[str, Any]:
    on_train = evaluate(model, loss, *train_data, gradient=True)
    on_test = evaluate(model, loss, *test_data)
    return {
        "step": step,
        "epoch": epochs,
        "train_loss": on_train["loss"],
        "test_loss": on_test["loss"],
        "train_accuracy": on_train["accuracy"],
        "test_accuracy": on_test["accuracy"],
        "gradient_norm": on_train["gradient_norm"],
        "lr": float(optimizer.param_groups[0]["lr"]),
    }


def _state(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Tensor]:
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    state = {f"optimizer.{name}": value for name, value in _optimizer_state(optimizer).items()}
    return weights | state | {"step": torch.tensor(step)}


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state by "{index of the parameter}.{name}"."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }


def _resume(
    run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, keep: _Keep
) -> tuple[int, list[dict[str, Any]]]:
    """Load the last state that was kept, and the history up to it; (0, []) where there is none."""
    if not run.has(RESUME):
        return 0, []
    state = run.tensors(RESUME)
    step = int(state.pop("step"))
    rows = [row for row in _rows(run) if row["step"] <= step]
    if not rows or not _kept(run, keep, rows):
        return 0, []
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    model.load_state_dict(weights)
    saved = optimizer.state_dict()
    for key, value in state.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            saved["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(saved)
    return step, rows
