"""Gradient of a mean loss as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdlib.curvature.data import Data, batches, double, split
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
    samples = 0
    for x, y in split(batches(data, like=model), SAMPLES):
        parts = torch.autograd.grad(loss(model(x), y) * len(x), parameters)
        total += torch.cat([part.flatten() for part in parts])
        samples += len(x)
    return total / samples
