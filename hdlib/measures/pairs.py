"""Modular arithmetic, pair by pair: logits of all of them, and which are right from memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hdlib.tasks.modular import ModularTask
from hdlib.training.pairs import MIRRORED, OTHERS


@torch.no_grad()
def grid_logits(model: nn.Module, task: ModularTask) -> NDArray[np.float64]:
    """Logits of all pairs, (p, p, C) float64.

    Args:
        model: network that reads [a, b, =]; it comes back in double precision.
        task: the pairs.
    """
    device = next(model.parameters()).device
    logits = model.double()(task.grid.tokens().to(device))
    return logits.view(task.grid.p, task.grid.p, -1).cpu().numpy()


def pair_accuracies(logits: NDArray[np.float64], task: ModularTask) -> dict[str, float]:
    """Accuracy on the mirrored test pairs and on the others (see `ModularTask.mirrored`).

    Args:
        logits: those of all pairs, (p, p, C).
        task: split whose test pairs are asked.
    """
    test, mirrored = task.test, task.mirrored.numpy()
    right = logits.argmax(2)[test.a.numpy(), test.b.numpy()] == test.targets.numpy()
    return {MIRRORED: float(right[mirrored].mean()), OTHERS: float(right[~mirrored].mean())}
