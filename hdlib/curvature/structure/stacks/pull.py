"""Derivatives of the loss pulled back through a stack."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.curvature.structure.losses import OutputDerivatives
from hdlib.curvature.structure.stacks.affine import Affine, Conv, Linear
from hdlib.curvature.structure.stacks.layers import Layer


def readout(layers: list[Layer]) -> Linear | None:
    """The linear layer whose outputs are those of the network, if it ends in one."""
    return layers[-1] if isinstance(layers[-1], Linear) else None


class Pulled(NamedTuple):
    """Derivatives pulled back to pre-activations, for n samples.

    Attributes:
        jacobians: M (n, C, O) at each linear layer but the read-out.
        factors: SᵀM (n, R, O, positions) at each convolution.
        errors: derivatives δ (n, O[, positions]) of the loss at each layer.
        factor: S (n, C, R) where there are convolutions.
    """

    jacobians: dict[Affine, Tensor]
    factors: dict[Affine, Tensor]
    errors: dict[Affine, Tensor]
    factor: Tensor


def pull_back(layers: list[Layer], derivatives: OutputDerivatives) -> Pulled:
    """Pull back the derivatives of the samples that went forward through the layers last."""
    gradient = derivatives.gradient
    samples, classes = gradient.shape
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    last = readout(layers)
    factor = derivatives.factor() if isinstance(affine[0], Conv) else gradient.new_empty(0)
    pulled = Pulled({}, {}, {}, factor)
    if last is None:
        jacobian, error = gradient.new_ones(classes).diag(), gradient
    else:
        layers = layers[:-1]
        pulled.errors[last] = gradient
        jacobian, error = last.weight, gradient @ last.weight
    if last is affine[0]:
        return pulled
    cotangents = torch.cat([jacobian.expand(samples, -1, -1), error[:, None]], 1)
    linear = [index for index, layer in enumerate(layers) if isinstance(layer, Linear)]
    before = linear[0] if linear else len(layers)
    for layer in reversed(layers[before:]):
        if isinstance(layer, Linear):
            pulled.jacobians[layer], pulled.errors[layer] = cotangents[:, :-1], cotangents[:, -1]
        if layer is affine[0]:
            return pulled
        cotangents = layer.pull(cotangents)
    cotangents = torch.cat([factor.mT @ cotangents[:, :-1], cotangents[:, -1:]], 1)
    for layer in reversed(layers[:before]):
        if isinstance(layer, Conv):
            flat = cotangents.flatten(3)
            pulled.factors[layer], pulled.errors[layer] = flat[:, :-1], flat[:, -1]
        if layer is affine[0]:
            break
        cotangents = layer.pull(cotangents)
    return pulled
