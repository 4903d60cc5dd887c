"""Norms of a network's weights."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def weight_norms(model: nn.Module) -> dict[str, float]:
    """Euclidean norm of all weights together, and of those of each module.

    A module counts with the parameters that it holds itself, its weight and bias together; one that
    is used under two names counts once, under the first. So "norm/total" squared is the sum of the
    others squared.

    Returns:
        "norm/total", and "norm/{path}" of each module that holds parameters; that of the model
        itself has its class for a path.
    """
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        module = name.rpartition(".")[0] or type(model).__name__
        squares[module] = squares.get(module, 0.0) + parameter.double().square().sum().item()
    total = {"norm/total": math.sqrt(sum(squares.values()))}
    return total | {f"norm/{module}": math.sqrt(square) for module, square in squares.items()}
