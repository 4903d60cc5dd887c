"""Data of a mean that fit a stack and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.nested import tensors_in
from hdlib.curvature.structure.losses import IGNORED, Derivatives, cross_entropy
from hdlib.curvature.structure.stacks.affine import Affine, Embedding
from hdlib.curvature.structure.stacks.layers import Layer


class Samples(NamedTuple):
    """Data of a mean.

    Attributes:
        inputs: (n, *shape) samples that have a loss, float64 or tokens.
        targets: their targets.
        total: number N of samples that the mean divides by.
    """

    inputs: Tensor
    targets: Tensor
    total: int


def joined(
    layers: Sequence[Layer], derivatives: Derivatives, batches: Sequence[Batch]
) -> Samples | None:
    """All samples that have a loss, or None where some do not fit the stack or the loss.

    Args:
        layers: the stack, linearised by `recognised_stack`.
        derivatives: closed form of the loss's derivatives.
        batches: all of the data.
    """
    kinds = {(batch.shapes, *(t.dtype for t in tensors_in(batch))) for batch in batches}
    pairs = [(*batch.args, *batch.kwargs.values(), batch.targets) for batch in batches]
    if len(kinds) > 1 or not all(map(_are_pair, pairs)):
        return None
    device, classes = _device(layers), prod(layers[-1].image)
    x, y = (torch.cat([part.to(device) for part in parts]) for parts in zip(*pairs, strict=True))
    if isinstance(layers[0], Embedding) and not _within(x, len(layers[0].weight)):
        return None
    x, total = x.double() if x.is_floating_point() else x, len(x)
    if y.dtype == torch.int64 and y.ndim == 1 and derivatives is cross_entropy:
        counted = y != IGNORED
        total = int(counted.sum())
        fit = bool(total) and _within(y[counted], classes)
    else:
        y = y.double() if y.is_floating_point() else y
        fit = y.dtype == torch.float64 and y.shape == (len(x), classes)
        counted = torch.ones(len(x), dtype=torch.bool, device=device)
        if fit and derivatives is cross_entropy:
            counted = y.any(1)  # no probabilities: a sample, but no loss
            fit = bool(counted.any()) and bool((y[counted].sum(1) > 0).all())
    return Samples(x[counted], y[counted], total) if fit else None


def _are_pair(parts: tuple) -> bool:
    return len(parts) == 2 and all(isinstance(t, Tensor) and t.ndim for t in parts)


def _within(indices: Tensor, size: int) -> bool:
    return 0 <= int(indices.min()) <= int(indices.max()) < size


def _device(layers: Sequence[Layer]) -> torch.device:
    return next(layer.weight.device for layer in layers if isinstance(layer, (Affine, Embedding)))
