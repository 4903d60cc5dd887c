"""What is logged of a network that learns modular arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.loss import Loss
from hdlib.tasks.modular import ModularTask, Pairs
from hdlib.training.evaluate import evaluate, logits_of
from hdlib.training.plan import State

MIRRORED, OTHERS = "mirrored_accuracy", "other_accuracy"
"""Accuracy on test pairs whose mirror is a training pair, and on all other test pairs."""


def steps_to(
    history: Mapping[str, NDArray], accuracy: float, *, column: str = "test_accuracy"
) -> int | None:
    """First logged step at which so much of the pairs is right; None where none is.

    Args:
        history: columns of a training's history, "step" and the accuracy's among them.
        accuracy: share in [0, 1].
        column: accuracy that is meant; of all test pairs where not given.
    """
    reached = np.flatnonzero(history[column] >= accuracy)
    return int(history["step"][reached[0]]) if len(reached) else None


def pair_evaluation(
    loss: Loss, task: ModularTask, encode: Callable[[Pairs], Tensor], device: torch.device
) -> Callable[[State], dict[str, float]]:
    """Losses and accuracies, those of mirrored test pairs and of others, and the gradient's norm.

    Where there are no mirrored test pairs, or no others, that accuracy is NaN.

    Args:
        loss: mean-reduced loss of outputs and classes.
        task: split of the pairs.
        encode: pairs ↦ inputs of the network.
        device: where the network is.
    """
    train, test = (
        (encode(part).to(device), part.targets.to(device)) for part in (task.train, task.test)
    )
    mirrored = task.mirrored.to(device)

    def measure(state: State) -> dict[str, float]:
        on_train = evaluate(state.model, loss, *train, gradient=True)
        state.model.eval()
        with torch.no_grad():
            outputs = state.model(test[0])
            test_loss = loss(outputs, test[1]).item()
        state.model.train()
        right = (logits_of(outputs).argmax(1) == test[1]).double()
        return {
            "train_loss": on_train["loss"],
            "test_loss": test_loss,
            "train_accuracy": on_train["accuracy"],
            "test_accuracy": right.mean().item(),
            MIRRORED: right[mirrored].mean().item(),
            OTHERS: right[~mirrored].mean().item(),
            "gradient_norm": on_train["gradient_norm"],
        }

    return measure
