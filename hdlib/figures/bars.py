"""Bars: how things divide among a few named parts, and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.axes import legend
from hdlib.figures.style import BLUE, CATEGORIES, INK, PAPER, SKY, VERMILLION, WIDTH, number, style
from hdlib.figures.validation import FloatArray, checked_array, require_entries

Names: TypeAlias = Sequence[str] | ArrayLike
MARKS = ((VERMILLION, "-"), (INK, "--"))


@style()
def shares(
    panels: Mapping[str, tuple[Names, ArrayLike]],
    parts: Sequence[str],
    *,
    xlabel: str,
    reference: tuple[str, ArrayLike] | None = None,
) -> Figure:
    """How things divide among the parts: one stacked bar each, and a panel, say, a checkpoint.

    Args:
        panels: title → names of m things, or numbers that they are named after, and their shares
            (m, L), rows summing to 1.
        parts: L names, say of layers, at most 10; colours follow their order.
        xlabel: what the names of the things are.
        reference: name and shares (L,) of a bar apart, on the left of every panel: say, what would
            be seen without any preference.

    Raises:
        ValueError: if there is nothing to draw, there are too many parts, arrays do not fit, or
            shares are negative or do not sum to 1.
    """
    require_entries("panels", panels)
    require_names("parts", parts)
    checked = {}
    for title, (names, values) in panels.items():
        texts = [_text(name) for name in np.asarray(names).tolist()]
        shape = (len(texts), len(parts))
        checked[title] = texts, checked_shares(f"panels[{title!r}]", values, shape)
    # Turned names need the room of the longest.
    turned = {title: len(t) * max(map(len, t)) > 70 for title, (t, _) in checked.items()}
    rows = len(checked)
    height = 2.3 if any(turned.values()) else 1.75
    fig, axes = plt.subplots(rows, 1, figsize=(WIDTH, 0.7 + height * rows), squeeze=False)
    for ax, (title, (texts, values)) in zip(axes[:, 0], checked.items(), strict=True):
        places, left = np.arange(len(texts)), -0.6
        _stack(ax, places, values, 0.85)
        every = 1 if len(texts) <= 30 else 2
        ticks, labels = places[::every].tolist(), texts[::every]
        if reference is not None:
            name, usual = reference
            usual = checked_shares(f"reference {name!r}", usual, (len(parts),))
            _stack(ax, np.array([-2.0]), usual[None], 1.0)
            ticks, labels, left = [-2, *ticks], [name, *labels], -2.8
        ax.set_xticks(ticks, labels, rotation=90 if turned[title] else 0)
        ax.tick_params(axis="x", length=0)
        ax.set(xlim=(left, len(texts) - 0.4), ylim=(0, 1), yticks=(0, 0.5, 1))
        ax.set(ylabel="share", title=title)
    axes[-1, 0].set_xlabel(xlabel)
    legend(fig, part_handles(parts))
    return fig


@style()
def histogram(values: ArrayLike, *, marks: Mapping[str, float], xlabel: str, ylabel: str) -> Figure:
    """A histogram, with each value as a tick below it and lines at marked ones.

    Args:
        values: (D,) the values, say of independent draws.
        marks: name → value of a line; at most 2.
        xlabel: what the values are, with their unit.
        ylabel: what is counted; of how many is added.

    Raises:
        ValueError: for values that are not finite, an empty array, or too many marks.
    """
    values = checked_array("values", values, (None,))
    if len(marks) > len(MARKS):
        raise ValueError(f"marks must be at most {len(MARKS)}, got {len(marks)}")
    fig, ax = plt.subplots(figsize=(WIDTH, 3.4))
    counts, _, _ = ax.hist(values, bins="auto", color=SKY, edgecolor="white")
    height = np.max(counts)
    ax.plot(values, np.full(len(values), -0.06 * height), "|", color=BLUE, ms=9)
    for (name, mark), (colour, dashes) in zip(marks.items(), MARKS, strict=False):
        at = float(checked_array(f"marks[{name!r}]", mark, ()))
        ax.axvline(at, color=colour, ls=dashes, label=f"{name}: {number(at)}")
    ax.set(xlabel=xlabel, ylabel=f"{ylabel} (of {len(values)})")
    ax.set_yticks(MaxNLocator(integer=True).tick_values(0, height))
    ax.set_ylim(-0.13 * height, 1.05 * height)
    legend(fig, ax.get_legend_handles_labels()[0])
    return fig


def _text(name: str | float) -> str:
    return number(name) if isinstance(name, float) else str(name)


def _stack(ax: Axes, x: NDArray, values: FloatArray, width: float) -> None:
    """One stacked bar for each row of shares (m, L)."""
    bottoms = np.cumsum(values, axis=1) - values
    for share, bottom, colour in zip(values.T, bottoms.T, CATEGORIES, strict=False):
        ax.bar(x, share, width, bottom, color=colour, edgecolor=PAPER, linewidth=0.4)


def part_handles(names: Sequence[str]) -> list[Patch]:
    """A legend's patches for named parts."""
    colours = CATEGORIES[: len(names)]
    return [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]


def checked_shares(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> FloatArray:
    """Shares of the parts, the last dimension, as float64.

    Raises:
        ValueError: for another shape, or shares that are negative or do not sum to 1.
    """
    checked = checked_array(name, values, shape)
    sums = checked.sum(axis=-1)
    if checked.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"{name} must be ≥ 0 and sum to 1 over the parts, got a minimum of {checked.min():g} "
            f"and sums from {sums.min():g} to {sums.max():g}"
        )
    return checked


def require_names(name: str, names: Sequence[str]) -> None:
    """Refuse no names, or more than there are colours.

    Raises:
        ValueError: unless there are 1 to 10.
    """
    if not 1 <= len(names) <= len(CATEGORIES):
        raise ValueError(f"{name} must be 1 to {len(CATEGORIES)} names, got {len(names)}")
