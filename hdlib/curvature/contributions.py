"""What each sample adds to the curvature along a direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vmap

from hdlib.curvature.data import Data, batches, double, split
from hdlib.curvature.losses import Loss
from hdlib.curvature.products import trained

SAMPLES = 25


@torch.no_grad()
def sample_curvature(model: nn.Module, loss: Loss, data: Data, direction: Tensor) -> Tensor:
    """vᵀHₙv for each sample n, with Hₙ the Hessian of its own loss; their mean is vᵀHv.

    It is the second derivative of the sample's loss along v, by forward differentiation twice.

    Args:
        model: as for `hdlib.curvature.hessian`.
        loss: mean-reduced.
        data: N samples.
        direction: v, (P,).

    Returns:
        (N,) float64, in the order of the data.

    Raises:
        ValueError: if ``direction`` does not have one entry for each parameter.
    """
    model = double(model)
    parameters = trained(model)
    sizes = [parameter.numel() for parameter in parameters.values()]
    if direction.shape != (sum(sizes),):
        raise ValueError(f"direction must be ({sum(sizes)},), got {tuple(direction.shape)}")
    pieces = direction.to(next(iter(parameters.values()))).split(sizes)
    tangent = {
        name: piece.view_as(parameter)
        for (name, parameter), piece in zip(parameters.items(), pieces, strict=True)
    }

    def each_loss(tensors: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = functional_call(model, tensors, (x,))
        return vmap(lambda f, t: loss(f[None], t[None]))(outputs, y)

    curvatures = []
    for x, y in split(batches(data, like=model), SAMPLES):

        def slope(tensors: dict[str, Tensor], x: Tensor = x, y: Tensor = y) -> Tensor:
            return jvp(lambda p: each_loss(p, x, y), (tensors,), (tangent,))[1]

        curvatures.append(jvp(slope, (parameters,), (tangent,))[1])
    return torch.cat(curvatures)
