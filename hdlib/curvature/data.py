"""The data of a mean: one pair of tensors, or an iterable of batches."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hdlib.curvature.door import check_copy

Data: TypeAlias = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]
"""``(inputs, targets)`` with samples along the first axis, or an iterable of such pairs."""


def batches(data: Data, like: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of ``data``, checked, on the device and with the floating type of ``like``.

    Raises:
        ValueError: if there is no sample, inputs and targets differ in length, or one of them has a
            value that is not finite.
        TypeError: if a batch is not a pair of tensors.
    """
    reference = next(like.parameters())
    stream: Iterable[Any] = [data] if _is_pair(data) else data
    empty = True
    for batch in stream:
        if not _is_pair(batch):
            raise TypeError(
                f"data must be (inputs, targets) tensors or batches of them, got {type(batch)}"
            )
        inputs, targets = batch
        if len(inputs) != len(targets):
            raise ValueError(f"{len(inputs)} inputs do not match {len(targets)} targets")
        for name, tensor in (("inputs", inputs), ("targets", targets)):
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise ValueError(f"{name} have values that are not finite")
        if len(inputs):
            empty = False
            yield _cast(inputs, reference), _cast(targets, reference)
    if empty:
        raise ValueError("data is empty: curvature is a mean over at least one sample")


def split(stream: Iterable[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pieces of at most ``size`` samples."""
    for inputs, targets in stream:
        yield from zip(inputs.split(size), targets.split(size), strict=True)


def _is_pair(value: Any) -> bool:
    sequence = isinstance(value, (tuple, list)) and len(value) == 2
    return sequence and all(isinstance(part, Tensor) for part in value)


def _cast(tensor: Tensor, reference: Tensor) -> Tensor:
    dtype = reference.dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(reference.device, dtype)


def double(model: nn.Module) -> nn.Module:
    """A float64 copy of ``model`` on its own device; the original is left as it is.

    Raises:
        ValueError: if no parameter requires grad, a parameter is not finite, or a copy would not
            compute with its own weights.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"{type(model).__name__} has no parameter that requires grad")
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ValueError(f"parameter {name} has values that are not finite")
    check_copy(model)
    return copy.deepcopy(model).double()
