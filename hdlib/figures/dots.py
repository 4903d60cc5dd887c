"""Points in named rows: how far each of a few things came, some of them never."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.axes import legend
from hdlib.figures.style import CATEGORIES, MUTED, WIDTH, style
from hdlib.figures.validation import require_entries, require_positive


@style()
def dots(
    rows: Mapping[str, Mapping[str, ArrayLike]], *, limit: float, xlabel: str, beyond: str
) -> Figure:
    """A point for each value, in named rows; values that were not reached stand open at the right.

    Points of one row are moved apart upright so that equal ones can be counted.

    Args:
        rows: name → label → values, not negative, infinite where they were not reached; the first
            row on top, a colour a label, "" without an entry in the legend.
        limit: how far it was looked, positive; a dashed line.
        xlabel: what the values are.
        beyond: what to call those that were not reached.

    Raises:
        ValueError: if there is no row or a row has no value, there are more than 10 labels, values
            are negative, or missing, or finite and beyond the limit.
    """
    require_entries("rows", rows)
    require_positive("limit", limit)
    labels = list(dict.fromkeys(label for row in rows.values() for label in row if label))
    if len(labels) > len(CATEGORIES):
        raise ValueError(f"labels must be at most {len(CATEGORIES)}, got {len(labels)}")
    colours = {"": CATEGORIES[0], **dict(zip(labels, CATEGORIES, strict=False))}

    fig, ax = plt.subplots(figsize=(WIDTH, 1.1 + 0.4 * len(rows)))
    outside = 1.08 * limit
    for height, (name, row) in enumerate(rows.items()):
        found = [
            (value, colours[label])
            for label, values in row.items()
            for value in _checked(f"rows[{name!r}][{label!r}]", values, limit)
        ]
        require_entries(f"rows[{name!r}]", found)
        room = min(0.2, 0.8 / len(found))
        for i, (value, colour) in enumerate(found):
            place = height + room * (i - (len(found) - 1) / 2)
            reached = np.isfinite(value)
            face = colour if reached else "none"
            ax.plot(value if reached else outside, place, "o", ms=6, color=colour, mfc=face)
    ax.axvline(limit, color=MUTED, ls="--", lw=1)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 1.16 * limit), ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel)
    ax.grid(axis="both")
    for label in labels:
        ax.plot([], [], "o", ms=6, color=colours[label], label=label)
    ax.plot([], [], "o", ms=6, color=MUTED, mfc="none", label=beyond)
    legend(fig, ax.get_legend_handles_labels()[0])
    return fig


def _checked(name: str, values: ArrayLike, limit: float) -> list[float]:
    array = np.asarray(values, dtype=np.float64).ravel()
    wrong = ~(array >= 0) | (np.isfinite(array) & (array > limit))
    if wrong.any():
        raise ValueError(
            f"{name} must be from 0 to {limit:g}, or infinite, got {array[wrong][0]:g}"
        )
    return array.tolist()
