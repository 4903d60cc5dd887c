"""Pictures: the filters of a convolution."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, WIDTH, style
from hdlib.figures.validation import IntArray, checked_array, require_entries, require_keys

DASHES = ("solid", (0, (3, 1.5)), (0, (1, 1)))


@style()
def filters(
    weights: Mapping[str, ArrayLike], clusters: Mapping[str, ArrayLike] | None = None
) -> Figure:
    """Filters of one convolution at several checkpoints: a row a checkpoint, a column a filter.

    A filter of one channel is shown as its weights; of several, as the Euclidean norm of the
    weights over the channels at each position of the patch. All share one colour scale. Where
    clusters are given, each filter is framed as the one that it is in, whose number, from 1, stands
    above it. Frames have one colour a cluster for the first 10, then the same dashed, then dotted.
    From row to row, numbers mean what the caller's mean.

    Args:
        weights: label → (O, C, h, w) weights, of one shape.
        clusters: the same labels → (O,) the cluster of each filter, 0 … 29: say the one that holds
            most of its weights.

    Raises:
        ValueError: if there is none, labels differ, or for arrays of another shape or with other
            values.
    """
    require_entries("weights", weights)
    shape = np.shape(next(iter(weights.values())))
    expected = shape if len(shape) == 4 else (None, None, None, None)
    checked = {
        label: checked_array(f"weights[{label!r}]", value, expected)
        for label, value in weights.items()
    }
    numbers: dict[str, IntArray] = {}
    if clusters is not None:
        require_keys("clusters", clusters, tuple(weights))
        numbers = {
            label: _checked_clusters(f"clusters[{label!r}]", clusters[label], shape[0])
            for label in weights
        }
    signed = shape[1] == 1
    pictures = {
        label: value[:, 0] if signed else np.linalg.norm(value, axis=1)
        for label, value in checked.items()
    }
    limit = max(float(np.abs(picture).max()) for picture in pictures.values()) or 1.0

    rows, columns = len(pictures), shape[0]
    side = min(0.85, (WIDTH - 2.0) / columns) + 0.22
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, max(2.4, 0.6 + side * rows)), squeeze=False
    )
    image = None
    for row, (label, picture) in zip(axes, pictures.items(), strict=True):
        for i, (ax, values) in enumerate(zip(row, picture, strict=True)):
            image = ax.imshow(
                values,
                cmap="PuOr" if signed else "Greys",
                vmin=-limit if signed else 0,
                vmax=limit,
            )
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if label in numbers:
                _frame(ax, int(numbers[label][i]))
        row[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for column, ax in enumerate(axes[-1]):
        ax.set_xlabel(str(column))
    fig.supxlabel("filter", fontsize=10.5)
    if image is not None:
        name = "weight" if signed else "norm over channels"
        fig.colorbar(image, ax=axes, label=name, pad=0.02, aspect=30)
    return fig


def _frame(ax: Axes, cluster: int) -> None:
    """The frame and the number of a cluster."""
    ax.set_title(str(cluster + 1), loc="center", pad=4)
    ax.spines[:].set(
        visible=True,
        color=CATEGORIES[cluster % len(CATEGORIES)],
        linewidth=2.5,
        linestyle=DASHES[cluster // len(CATEGORIES)],
        capstyle="butt",  # others would fill the gaps between dashes
    )


def _checked_clusters(name: str, clusters: ArrayLike, count: int) -> IntArray:
    array = checked_array(name, clusters, (count,))
    most = len(DASHES) * len(CATEGORIES)
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.min() < 0 or whole.max() >= most:
        raise ValueError(f"{name} must be integers 0 to {most - 1}, got {array}")
    return whole
