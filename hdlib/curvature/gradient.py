"""Gradient of a mean loss as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Data
from hdlib.curvature.inputs.door import Door
from hdlib.curvature.inputs.objective import Objective, require_finite
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.loss import Loss

SAMPLES = 100


@torch.inference_mode(False)
def gradient(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """∂L/∂θ of the mean loss L over all samples of ``data``, in the parameter order of `hessian`.

    Streamed in pieces, which are summed in float64. Arguments and errors are those of
    `hdlib.curvature.hessian`.

    Returns:
        (P,) float64 on the model's device.
    """
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    total = torch.zeros(objective.size, dtype=torch.float64, device=objective.device)
    weights = 0.0
    for piece, weight in Door(objective, order=1).pieces(
        objective.batches(data), SAMPLES, directions=0
    ):
        if not weight:
            continue
        with twice_differentiable(dtype):
            slopes = objective.slopes(objective.value(piece) * weight)
        total += torch.cat([slope.flatten() for slope in slopes])
        weights += weight
    require_finite("the gradient is", total)
    return total / weights
