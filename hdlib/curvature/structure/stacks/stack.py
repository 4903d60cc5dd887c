"""Stacks of piecewise-linear layers and smooth activations, recognised and linearised."""

from __future__ import annotations

import operator
from itertools import zip_longest

import torch
from torch import Tensor, nn

from hdlib.curvature.structure.altered import RECOGNISED, SMOOTH, is_altered
from hdlib.curvature.structure.stacks.affine import Affine, Conv, Embedding, Linear
from hdlib.curvature.structure.stacks.layers import Layer, MaxPool, ReLU, Smooth


@torch.no_grad()
def recognised_stack(model: nn.Module, sample: Tensor) -> list[Layer] | None:
    """The layers of ``model`` linearised, or None where it is not such a stack.

    Recognised are `nn.Sequential`s, nested as one likes, of Linear (on vectors), Conv2d (zero
    padding, one group), ReLU, MaxPool2d, AvgPool2d, Flatten and Identity, smooth activations, and
    before all of them an Embedding of (n, t) tokens, without hooks, each parameter used once, that
    end in a vector of outputs. A max-pool with a window that is all padding gives −∞ there, and is
    not.

    Args:
        model: float64 module, all of it trained.
        sample: (1, *input) tensor, sent forward through the layers to see the shapes.
    """
    modules = _stack(model)
    if modules is None:
        return None
    layers: list[Layer] = []
    start = 0
    seen: set[nn.Module] = set()
    x = sample
    rectified = False
    for module, after in zip_longest(modules, modules[1:]):
        if type(module) is nn.ReLU and type(after) is nn.MaxPool2d:
            rectified = True
            continue
        layer = _linearise(module, x, start, rectified)
        rectified = False
        if layer is None or module in seen or (isinstance(layer, Embedding) and layers):
            return None
        if isinstance(layer, (Affine, Embedding)):
            seen.add(module)
            start += layer.size
        x = layer.forward(x)
        if not torch.isfinite(x).all():
            return None
        if not isinstance(module, nn.Identity):
            layers.append(layer)
    expected = [
        parameter
        for layer in layers
        if isinstance(layer, (Affine, Embedding))
        for parameter in (layer.module.weight, getattr(layer.module, "bias", None))
        if parameter is not None
    ]
    parameters = list(model.parameters())
    in_order = len(parameters) == len(expected) and all(map(operator.is_, parameters, expected))
    return layers if x.ndim == 2 and in_order and seen else None


def _stack(module: nn.Module) -> list[nn.Module] | None:
    """Leaf modules in order; None where a container computes something of its own."""
    if is_altered(module):
        return None
    if isinstance(module, nn.Sequential):
        if type(module).forward is not nn.Sequential.forward:
            return None
        stacks = [_stack(child) for child in module]
        if any(stack is None for stack in stacks):
            return None
        return [leaf for stack in stacks if stack is not None for leaf in stack]
    return None if len(list(module.children())) else [module]


def _linearise(module: nn.Module, x: Tensor, start: int, rectified: bool) -> Layer | None:
    if type(module) in SMOOTH:
        return Smooth(module)
    if type(module) not in RECOGNISED:
        return None
    match module:
        case nn.Embedding(
            padding_idx=None, max_norm=None, scale_grad_by_freq=False, sparse=False
        ) if x.ndim == 2 and x.dtype == torch.int64:
            return Embedding(module)
        case nn.Linear() if x.ndim == 2:
            return Linear(module, start)
        case nn.Conv2d() if (
            x.ndim == 4
            and module.groups == 1
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            return Conv(module, start)
        case nn.ReLU():
            return ReLU(module)
        case nn.MaxPool2d() if x.ndim == 4 and not module.return_indices:
            return MaxPool(module, rectified=rectified)
        case nn.AvgPool2d() if x.ndim == 4:
            return Layer(module)
        case nn.Flatten(start_dim=1, end_dim=-1) | nn.Identity():
            return Layer(module)
        case _:
            return None
