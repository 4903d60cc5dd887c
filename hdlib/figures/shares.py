"""Shares of a few named parts, such as layers, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.style import CATEGORIES, PAPER
from hdlib.figures.validation import checked_array

FloatArray = NDArray[np.float64]


def draw_shares(ax: Axes, x: NDArray, shares: FloatArray, width: float) -> None:
    """Draw one stacked bar for each row of shares.

    Args:
        ax: the axes.
        x: (m,) where the bars stand.
        shares: (m, L); colours follow the order of the parts.
        width: of a bar.
    """
    bottoms = np.cumsum(shares, axis=1) - shares
    for part, colour in zip(range(shares.shape[1]), CATEGORIES, strict=False):
        ax.bar(
            x,
            shares[:, part],
            bottom=bottoms[:, part],
            width=width,
            color=colour,
            edgecolor=PAPER,
            linewidth=0.4,
            label=str(part),
        )


def group_handles(names: Sequence[str]) -> list[Patch]:
    """A legend's patches for named parts."""
    colours = CATEGORIES[: len(names)]
    return [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]


def checked_shares(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> FloatArray:
    """Shares of the parts, the last dimension, as float64.

    Raises:
        ValueError: for another shape, or shares that are negative or do not sum to 1.
    """
    shares = checked_array(name, values, shape)
    if shares.min() < 0 or np.abs(shares.sum(axis=-1) - 1).max() > 1e-3:
        raise ValueError(
            f"{name} must be ≥ 0 and sum to 1 over layers, got a minimum of {shares.min():g} and "
            f"sums from {shares.sum(axis=-1).min():g} to {shares.sum(axis=-1).max():g}"
        )
    return shares


def require_names(name: str, names: Sequence[str]) -> None:
    """Refuse no names, or more than there are colours.

    Raises:
        ValueError: unless there are 1 to 10.
    """
    if not 1 <= len(names) <= len(CATEGORIES):
        raise ValueError(f"{name} must be 1 to {len(CATEGORIES)} names, got {len(names)}")
