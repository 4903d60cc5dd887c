"""Values of arrays and scalars as one file that tells what it holds and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from hdlib.atomic import write_atomically

HEADER = "hdlib"
"""Key of the metadata: the type, its scalars, and the sum of all, as JSON."""
Value = TypeVar("Value", bound="Saved")


class Saved:
    """A dataclass of NumPy arrays, numbers, strings and None that has a file.

    The file is safetensors; what is no array is in its metadata, with a sha256 of everything.
    """

    _saved_within: ClassVar[Mapping[str, type[Saved]]] = {}
    """Fields that are tuples of values which are saved with this one, and the type of these."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write to ``path``, in place of what is there; the same value gives the same bytes.

        Raises:
            OSError: if it cannot be written; what was there before is there still.
        """
        scalars, arrays = _apart(self)
        header = {"type": type(self).__name__, "scalars": scalars}
        header["sha256"] = _sum(header, arrays)
        metadata = {HEADER: json.dumps(header, sort_keys=True)}
        write_atomically(Path(path), safetensors.numpy.save(arrays, metadata))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what `save` wrote, bit by bit the same.

        Raises:
            OSError: if there is no such file.
            ValueError: if the file is truncated, altered, of another type, or no such file at all.
        """
        header, arrays = _read(Path(path))
        if header["type"] != cls.__name__:
            raise ValueError(f"{path} holds a {header['type']}, not a {cls.__name__}")
        try:
            return _together(cls, header["scalars"], arrays)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{path} is of another version of {cls.__name__}: {error}") from error


def _apart(value: Saved, prefix: str = "") -> tuple[dict[str, Any], dict[str, NDArray]]:
    """What is no array, by its name, and the arrays by theirs after the prefix."""
    scalars, arrays = {}, {}
    for name in (field.name for field in fields(value)):  # pyright: ignore[reportArgumentType]
        part = getattr(value, name)
        if name in value._saved_within:
            inner = [_apart(one, f"{prefix}{name}.{i}.") for i, one in enumerate(part)]
            scalars[name] = [found for found, _ in inner]
            for _, found in inner:
                arrays |= found
        elif isinstance(part, np.ndarray):
            arrays[prefix + name] = np.ascontiguousarray(part)
        else:
            scalars[name] = part
    return scalars, arrays


def _together(
    kind: type[Value], scalars: Mapping[str, Any], arrays: Mapping[str, NDArray], prefix: str = ""
) -> Value:
    """The value of which `_apart` made these."""
    values = dict(scalars)
    for name, inner in kind._saved_within.items():
        values[name] = tuple(
            _together(inner, found, arrays, f"{prefix}{name}.{i}.")
            for i, found in enumerate(values.get(name, ()))
        )
    for name, array in arrays.items():
        field = name.removeprefix(prefix)
        if name.startswith(prefix) and "." not in field:
            values[field] = array
    return kind(**values)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray]]:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated, or no safetensors file: {error}") from error
    if HEADER not in metadata:
        raise ValueError(f"{path} was not saved by hdlib, or was altered: it has no header of ours")
    try:
        header = json.loads(metadata[HEADER])
        # Other digits may be the same number.
        sound = json.dumps(header, sort_keys=True) == metadata[HEADER]
        recorded = header.pop("sha256")
        sound &= isinstance(header["scalars"], dict) and recorded == _sum(header, arrays)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} was altered: its header cannot be read ({error})") from error
    if not sound:
        raise ValueError(f"{path} was altered: its content does not have the sum that it records")
    return header, arrays


def _sum(header: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> str:
    """Sha256 of a header and of names, types, shapes and numbers of arrays."""
    kinds = {name: (str(array.dtype), array.shape) for name, array in sorted(arrays.items())}
    digest = hashlib.sha256(json.dumps([header, kinds], sort_keys=True).encode())
    for name in kinds:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
