"""What is logged while a network trains; every number of a row at one set of weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import Objective, prepared
from hdlib.training import MIRRORED, OTHERS, State, logits_of


def watch(
    config: LeastActionConfig, objective: Objective, device: torch.device
) -> Callable[[State], dict[str, float]]:
    """What is measured at each row of the history.

    Losses are mean cross-entropies in float64. Accuracies on test pairs whose mirror is a training
    pair and on all others are apart, NaN where there are none.

    Args:
        config: task and network.
        objective: what is trained.
        device: where the network is.
    """
    task = config.task
    train, test = (_numbers(part.a, part.b, part.operation, config.p) for part in task[:2])
    targets, mirrored = task.grid.targets.to(device), task.mirrored.to(device)
    test_inputs = prepared(config, task.test, device)

    def measure(state: State) -> dict[str, float]:
        model = state.model
        with torch.no_grad():
            outputs = objective.grid_outputs(model)
            logits = logits_of(outputs)
            losses = F.cross_entropy(logits.double(), targets, reduction="none")
            right = (logits.argmax(1) == targets).double()
            norm = model.representation(test_inputs).norm(dim=1).mean()
        row = {
            "train_loss": losses[train].mean(),
            "test_loss": losses[test].mean(),
            "train_accuracy": right[train].mean(),
            "test_accuracy": right[test].mean(),
            MIRRORED: right[test][mirrored].mean(),
            OTHERS: right[test][~mirrored].mean(),
            "representation_norm": norm,
            "low_frequency_share": objective.low_frequencies(
                logits.view(-1, config.p, config.p, config.p)
            ),
        }
        return {name: float(value) for name, value in row.items()} | _slope(objective, model)

    return measure


def _numbers(a: Tensor, b: Tensor, operation: Tensor, p: int) -> Tensor:
    """Numbers of pairs among all of them."""
    return (operation * p + a) * p + b


def _slope(objective: Objective, model: torch.nn.Module) -> dict[str, float]:
    """The loss that is trained, its parts, and the norm of its gradient."""
    value = objective(model, None, None)
    slopes = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    found = torch.stack([g.double().norm() for g in slopes if g is not None]).norm()
    return {"objective": value.item(), "gradient_norm": found.item()}
