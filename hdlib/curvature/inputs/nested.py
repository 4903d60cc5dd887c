"""Tensors inside of what models take and give: tuples, mappings, and objects that hold them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """``value`` with every tensor in it replaced; what is there twice is replaced by one tensor.

    Tensors are looked for in tuples, lists, mappings, dataclasses and the attributes of other
    objects, such as distributions, but not in modules; NumPy arrays become tensors. What holds no
    tensor is left as it is, and nothing is changed in place.
    """
    done: dict[int, Any] = {}
    alive: list[Any] = []  # an id may not be given away to another object meanwhile

    def replaced(value: Any) -> Any:
        if id(value) not in done:
            alive.append(value)
            done[id(value)] = value  # of what contains itself, the inner one is left
            done[id(value)] = _rebuilt(value, function, replaced)
        return done[id(value)]

    return replaced(value)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors that `map_tensors` replaces, each once, in the order in which it meets them."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(note, value)
    return found


def _rebuilt(
    value: Any, function: Callable[[Tensor], Tensor], replaced: Callable[[Any], Any]
) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, np.ndarray):
        return function(_from_numpy(value)) if value.dtype.kind in "biufc" else value
    if isinstance(value, (nn.Module, type)) or callable(value):
        return value
    if isinstance(value, (tuple, list)):
        parts = [replaced(part) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        changed = _changed({name: getattr(value, name) for name in names}, replaced)
        if not changed:
            return value
        value, frozen = copy.copy(value), type(value).__dict__["__dataclass_params__"].frozen
        for name, part in changed.items():  # without its __init__, which may compute something
            object.__setattr__(value, name, part) if frozen else setattr(value, name, part)
        return value
    if isinstance(value, Mapping):
        changed = _changed(value, replaced)
        if not changed:
            return value
        if not isinstance(value, MutableMapping):
            return {**value, **changed}
        value = copy.copy(value)
        value.update(changed)
        return value
    if hasattr(value, "__dict__"):
        changed = _changed(vars(value), replaced)
        if changed:
            value = copy.copy(value)
            vars(value).update(changed)
    return value


def _from_numpy(array: np.ndarray) -> Tensor:
    """A tensor of an array in any byte order and with any strides."""
    kind = np.float64 if array.dtype == np.longdouble else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, kind, ["C", "W"]))


def _changed(parts: Mapping[str, Any], replaced: Callable[[Any], Any]) -> dict[str, Any]:
    """The parts that are replaced by something else."""
    pairs = [(name, part, replaced(part)) for name, part in parts.items()]
    return {name: new for name, old, new in pairs if new is not old}
