"""The parameters of an objective moved along a direction for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from hdlib.curvature.inputs.objective import Objective


def direction(objective: Objective, seed: int) -> Tensor:
    """A random direction (P,)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(objective.size, generator=generator, dtype=torch.float64)
    return drawn.to(objective.device, objective.dtype)


@contextmanager
def moved(objective: Objective, v: Tensor, step: float) -> Iterator[float]:
    """θ + hv for a while, with h‖v‖ = step · ‖θ‖; h is given."""
    parameters = list(objective.parameters.values())
    kept = [parameter.detach().clone() for parameter in parameters]
    norm = sum(float(start.square().sum()) for start in kept) ** 0.5 or 1.0
    h = step * norm / float(v.norm() or 1.0)
    pieces = v.split([start.numel() for start in kept])
    try:
        with torch.no_grad():
            for parameter, start, piece in zip(parameters, kept, pieces, strict=True):
                parameter.copy_(start + h * piece.view_as(start))
        yield h
    finally:
        with torch.no_grad():
            for parameter, start in zip(parameters, kept, strict=True):
                parameter.copy_(start)
