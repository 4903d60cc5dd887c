"""Checks of what a figure is given: messages name the thing, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering import Dendrogram, dendrogram
from hdlib.curvature import Spectrum

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Eigenvalues = Spectrum | Dendrogram | ArrayLike
"""What is known of a spectrum; an array is all of it."""
Value = TypeVar("Value")


def checked_steps(steps: ArrayLike, *, name: str = "steps") -> IntArray:
    """Training steps as an int64 vector.

    Raises:
        ValueError: unless they are a non-empty vector of integers ≥ 0, strictly increasing.
    """
    array = np.asarray(steps)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {array.shape}")
    whole = array.astype(np.int64)
    if (whole != array).any() or whole[0] < 0 or (np.diff(whole) <= 0).any():
        raise ValueError(f"{name} must be integers ≥ 0, strictly increasing, got {array}")
    return whole


def checked_array(
    name: str, values: ArrayLike, shape: tuple[int | None, ...], *, missing: bool = False
) -> FloatArray:
    """An array of the shape as float64.

    Args:
        name: what to call it in a message.
        values: the array.
        shape: its shape; None allows any length but 0.
        missing: whether NaN is allowed.

    Raises:
        ValueError: for another shape, or numbers that are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    fits = array.ndim == len(shape) and all(
        length > 0 and wanted in (None, length)
        for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        where = tuple(int(index) for index in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at index {where}")
    return array


def checked_increasing(name: str, values: ArrayLike, *, least: int = 1) -> FloatArray:
    """A vector of positive, strictly increasing numbers, as a logarithmic axis needs.

    Raises:
        ValueError: if it is not, or has fewer than ``least`` entries.
    """
    array = checked_array(name, values, (None,))
    if array.size < least or array[0] <= 0 or (np.diff(array) <= 0).any():
        raise ValueError(
            f"{name} must be at least {least} positive, strictly increasing numbers, got {array}"
        )
    return array


def checked_dendrograms(spectra: Mapping[str, Eigenvalues]) -> dict[str, Dendrogram]:
    """The dendrograms of labelled spectra.

    Raises:
        ValueError: if there is none, or an array is not a non-empty vector of finite numbers.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    require_entries("spectra", spectra)
    return {
        label: values
        if isinstance(values, Dendrogram)
        else dendrogram(
            values
            if isinstance(values, Spectrum)
            else checked_array(f"spectra[{label!r}]", values, (None,))
        )
        for label, values in spectra.items()
    }


def labelled(spectra: Mapping[str, Value] | Value) -> Mapping[str, Value]:
    """Several things by their labels, or one that needs none."""
    return spectra if isinstance(spectra, Mapping) else {"": spectra}


def require_entries(name: str, entries: Sized) -> None:
    """Refuse an empty mapping or sequence.

    Raises:
        ValueError: if it is empty.
    """
    if not len(entries):
        raise ValueError(f"{name} must have at least one entry, got none")


def require_keys(name: str, mapping: Mapping[str, object], keys: tuple[str, ...]) -> None:
    """Refuse a mapping that lacks a key.

    Raises:
        ValueError: naming the keys that are missing.
    """
    missing = [key for key in keys if key not in mapping]
    if missing:
        raise ValueError(f"{name} must have the keys {keys}, missing {missing}")


def require_positive(name: str, value: float) -> None:
    """Refuse a number that is not positive and finite.

    Raises:
        ValueError: if it is not.
    """
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be positive, got {value}")
