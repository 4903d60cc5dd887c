"""What is logged while a network trains; every number of a row at one set of weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import TrainedLoss, prepared
from hdlib.measures import (
    adam_statistics,
    collapsed_share,
    frequency_shares,
    multiplicative_grid,
    pair_power,
    routing_columns,
    weight_norms,
)
from hdlib.models import ArithmeticNetwork, Routed
from hdlib.tasks import Operation, Pairs
from hdlib.training import MIRRORED, OTHERS, State, logits_of, seeded


def watch(
    config: LeastActionConfig, objective: TrainedLoss, device: torch.device
) -> Callable[[State], dict[str, float]]:
    """What is measured at each row of the history.

    Losses are mean cross-entropies in float64; accuracies on test pairs whose mirror is a training
    pair and on all others are apart, NaN where there are none. The mean norm of representations is
    over test pairs; routing is that of all pairs. ``objective`` is the loss that is trained,
    "…_term" its parts without their factors, and ``gradient_norm`` the norm of its gradient, all
    over the training pairs; random probes of the Jacobian are the same ones at every row. Shares
    of power are left out where the logits are the same for all pairs, and routing where a weight
    is not finite.

    Args:
        config: task and network.
        objective: what is trained.
        device: where the network is.
    """
    task, p = config.task, config.p
    train, test = _numbers(task.train), _numbers(task.test)
    targets, mirrored = task.grid.targets.to(device), task.mirrored.to(device)
    test_inputs = prepared(config, task.test, device)
    softmax = torch.float64 if config.softmax == "float64" else torch.float32

    def measure(state: State) -> dict[str, float]:
        model = state.model
        assert isinstance(model, ArithmeticNetwork)
        with torch.no_grad():
            outputs = objective.grid_outputs(model)
            logits = logits_of(outputs)
            losses = F.cross_entropy(logits.double(), targets, reduction="none")
            right = (logits.argmax(1) == targets).double()
            found = {
                "train_loss": losses[train].mean(),
                "test_loss": losses[test].mean(),
                "train_accuracy": right[train].mean(),
                "test_accuracy": right[test].mean(),
                MIRRORED: right[test][mirrored].mean(),
                OTHERS: right[test][~mirrored].mean(),
                "representation_norm": model.representation(test_inputs).norm(dim=1).mean(),
            }
        row = {name: float(value) for name, value in found.items()}
        grids = logits.view(-1, p, p, p)
        if _varies(grids):
            row["low_frequency_share"] = float(objective.low_frequencies(grids))
            row |= _answer_shares(config.operation, grids.double().cpu().numpy())
        row["collapsed_share"] = collapsed_share(logits[train], targets[train], dtype=softmax)
        if isinstance(outputs, Routed) and logits.isfinite().all():
            row |= routing_columns([w.cpu().numpy() for w in outputs.weights])
        row |= weight_norms(model) | adam_statistics(state.optimizer)
        return row | _slope(objective, model)

    return measure


def _varies(grids: torch.Tensor) -> bool:
    """Whether the logits of each operation, (operations, p, p, p), say anything about the pair."""
    centred = (grids - grids.mean(3, keepdim=True)).flatten(1, 2)
    return bool(grids.isfinite().all() and (centred != centred[:, :1]).flatten(1).any(1).all())


def _answer_shares(operation: Operation, grids: NDArray[np.float64]) -> dict[str, float]:
    """Share of what the logits say that is a function of a + b, or of a · b (nonzero a and b)."""
    operations = ["add", "multiply"] if operation == "both" else [operation]
    found = {}
    for name, logits in zip(operations, grids, strict=True):
        if name == "add":
            found["sum_share"] = frequency_shares(pair_power(logits)).sum
        else:
            power = pair_power(multiplicative_grid(logits))
            found["product_share"] = frequency_shares(power).sum
    return found


def _numbers(pairs: Pairs) -> torch.Tensor:
    """Numbers of pairs among all of them."""
    return (pairs.operation * pairs.p + pairs.a) * pairs.p + pairs.b


def _slope(objective: TrainedLoss, model: ArithmeticNetwork) -> dict[str, float]:
    # Weights that are stored give this row again, whatever numbers were drawn before it.
    with seeded(0):
        terms = objective.terms(model)
    value = objective.total(terms)
    slopes = torch.autograd.grad(value, list(model.parameters()))
    norm = torch.stack([slope.double().norm() for slope in slopes]).norm()
    parts = {f"{name}_term": t for name, t in terms._asdict().items() if t is not None}
    found = parts | {"objective": value, "gradient_norm": norm}
    return {name: float(number.detach()) for name, number in found.items()}
