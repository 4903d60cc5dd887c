"""Gradient of a mean loss as one vector."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from hdlib.curvature.data import Data, batches, double, split
from hdlib.curvature.door import cast_loss, check_mean, check_weight, weight_of
from hdlib.curvature.losses import Loss

SAMPLES = 100


def gradient(model: nn.Module, loss: Loss, data: Data) -> Tensor:
    """∂L/∂θ of the mean loss L over all samples of ``data``, in the parameter order of `hessian`.

    Computed in float64, streamed in chunks. Arguments and errors are those of
    `hdlib.curvature.hessian`.

    Returns:
        (P,) float64 on the model's device.
    """
    model = double(model)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64).to(parameters[0])
    loss, weigh = cast_loss(loss, parameters[0].detach()), weight_of(loss)
    weights = 0.0
    stream = batches(data, like=model)
    first = next(stream)
    check_mean(model, loss, *first)
    for x, y in split(itertools.chain([first], stream), SAMPLES):
        if weight := weigh(y):
            parts = torch.autograd.grad(
                loss(model(x), y) * weight, parameters, allow_unused=True, materialize_grads=True
            )
            total += torch.cat([part.flatten() for part in parts])
            weights += weight
    check_weight(weights)
    return total / weights
