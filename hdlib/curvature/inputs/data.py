"""The data of a mean: one batch, or an iterable of batches."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hdlib.curvature.inputs.nested import map_tensors, tensors_in

Data: TypeAlias = Any
"""One batch, or an iterable of batches, with samples along the first axis of every tensor.

A batch is ``(inputs, targets)``, ``(input, another input, …, targets)``, or a mapping whose entry
``"labels"`` holds the targets and whose other entries are the arguments of the model by name.
Inputs are a tensor, a tuple of them, or a mapping; targets are whatever the loss takes.
"""

TARGETS = "labels"
"""Where a mapping has its targets, as with Hugging Face's collators."""
FORMS = (
    "a batch is (inputs, targets), (input, another input, ..., targets) or a mapping with the "
    f"targets under {TARGETS!r}"
)


@dataclass(frozen=True)
class Batch:
    """Samples: what a model is called with, and what the loss compares its outputs to."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    targets: Any

    def __len__(self) -> int:
        """How many samples there are, the length of the first tensor."""
        return next(len(tensor) for tensor in tensors_in(self) if tensor.ndim)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        """Some of the samples; what is no tensor with an axis is kept whole."""
        return map_tensors(lambda tensor: tensor[rows] if tensor.ndim else tensor, self)

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """Of a sample in each tensor."""
        return tuple(tensor.shape[1:] for tensor in tensors_in(self))

    def joined(self, other: Batch) -> Batch:
        """The samples of both, which have the same shapes."""
        followers = iter(tensors_in(other))

        def append(tensor: Tensor) -> Tensor:
            follower = next(followers)
            return torch.cat([tensor, follower]) if tensor.ndim else tensor

        return map_tensors(append, self)

    @property
    def nbytes(self) -> int:
        """Of all tensors together."""
        return sum(tensor.nbytes for tensor in tensors_in(self))

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """A copy on a device, its real and complex tensors in a precision."""

        def cast(tensor: Tensor) -> Tensor:
            kind = tensor.dtype
            if tensor.is_floating_point():
                kind = dtype
            elif tensor.is_complex():
                kind = torch.complex(torch.empty(0, dtype=dtype), torch.empty(0, dtype=dtype)).dtype
            return tensor.detach().to(device, kind, copy=True)

        return map_tensors(cast, self)


def batches(data: Data, model: nn.Module) -> Iterator[Batch]:
    """The batches of ``data`` that hold samples, in their own types, on their own devices.

    Args:
        data: one batch or an iterable of batches (`Data`).
        model: module whose signature tells whether inputs come one by one, by name, or as one.

    Raises:
        ValueError: if there is no sample, the tensors of a batch differ in length, or one of them
            has a value that is not finite.
        TypeError: if the data have another form.
    """
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise TypeError("a Dataset gives samples one by one: pass a DataLoader of it")
    if not _is_batch(data) and not isinstance(data, Iterable):
        raise TypeError(
            f"data must be a batch or an iterable of batches, got {_kind(data)}; {FORMS}"
        )
    empty = True
    # What makes its batches as it goes may make them in one place.
    made = not isinstance(data, (tuple, list, Mapping, DataLoader))
    for given in [data] if _is_batch(data) else data:
        batch = _batch(given, model)
        batch = map_tensors(torch.clone, batch) if made else batch
        if _checked_length(batch):
            empty = False
            yield batch
    if empty:
        raise ValueError("data is empty: curvature is a mean over at least one sample")


def _is_batch(data: Any) -> bool:
    """A mapping, or a sequence with a tensor: batches in an iterable are no bare tensors."""
    if isinstance(data, Mapping):
        return True
    return isinstance(data, (tuple, list)) and any(
        isinstance(part, (Tensor, np.ndarray)) for part in data
    )


def _batch(given: Any, model: nn.Module) -> Batch:
    if isinstance(given, Batch):
        return given
    if isinstance(given, Mapping):
        if TARGETS not in given:
            raise TypeError(f"a mapping with {sorted(given)} has no {TARGETS!r}; {FORMS}")
        return _called(model, {k: given[k] for k in given if k != TARGETS}, given[TARGETS])
    if not isinstance(given, (tuple, list)) or len(given) < 2:
        raise TypeError(f"got {_kind(given)} for a batch; {FORMS}")
    *inputs, targets = given
    if len(inputs) == 1:
        return _called(model, inputs[0], targets)
    if not _takes(model, tuple(inputs), {}):
        takes = inspect.signature(model.forward)
        raise TypeError(f"forward{takes} does not take {len(inputs)} inputs; {FORMS}")
    return map_tensors(lambda tensor: tensor, Batch(tuple(inputs), {}, targets))


def _called(model: nn.Module, inputs: Any, targets: Any) -> Batch:
    """Inputs as separate arguments where the model takes them so, else as one."""
    if isinstance(inputs, Mapping) and _takes(model, (), dict(inputs)):
        called = Batch((), dict(inputs), targets)
    elif isinstance(inputs, (tuple, list)) and _spreads(model, tuple(inputs)):
        called = Batch(tuple(inputs), {}, targets)
    else:
        called = Batch((inputs,), {}, targets)
    return map_tensors(lambda tensor: tensor, called)


def _spreads(model: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether a tuple is several arguments: not where only one of several is required."""
    kinds = inspect.signature(model.forward).parameters.values()
    plain = [p for p in kinds if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in plain if p.default is p.empty]
    return _takes(model, inputs, {}) and (len(required) != 1 or len(inputs) == 1)


def _takes(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _checked_length(batch: Batch) -> int:
    """How many samples there are, which all tensors agree on; 0 for none.

    Raises:
        ValueError: if tensors differ in length or are not finite.
        TypeError: if there is no tensor.
    """
    inputs, targets = tensors_in((batch.args, batch.kwargs)), tensors_in(batch.targets)
    for tensor in (*inputs, *targets):
        if tensor.layout != torch.strided or tensor.is_nested:
            raise TypeError(f"dense tensors are needed, got one of layout {tensor.layout}")
    lengths = [[len(t) for t in tensors if t.ndim] for tensors in (inputs, targets)]
    for name, part, found in zip(
        ("inputs", "targets"), ((batch.args, batch.kwargs), batch.targets), lengths, strict=True
    ):
        if not found and part is not None:
            shown = part if name == "targets" else batch.kwargs or batch.args
            raise TypeError(f"{name} hold no tensor with samples, got {_kind(shown)}; {FORMS}")
    if len({*lengths[0], *lengths[1]}) > 1:
        one, other = (" and ".join(map(str, dict.fromkeys(each))) for each in lengths)
        raise ValueError(
            f"{one} inputs do not match {other or 'no'} targets: the first axis of each tensor "
            "counts samples; what all samples share belongs into the model"
        )
    for name, tensors in (("inputs", inputs), ("targets", targets)):
        for tensor in tensors:
            numbers = tensor.float() if tensor.dtype.itemsize == 1 else tensor
            if not torch.isfinite(numbers).all():
                raise ValueError(f"{name} have values that are not finite")
    for value in (*batch.args, *batch.kwargs.values(), batch.targets):
        listed = isinstance(value, (tuple, list)) and len(value) == len(batch) > 1
        if listed and not tensors_in(value):
            raise TypeError(
                f"a {type(value).__name__} of {len(value)} entries, one for each sample, cannot be "
                "cut into pieces: make it a tensor"
            )
    return len(batch)


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        kinds = [type(part).__name__ for part in value[:3]] + ["..."] * (len(value) > 3)
        return f"{type(value).__name__} of {', '.join(kinds)}"
    return type(value).__name__
