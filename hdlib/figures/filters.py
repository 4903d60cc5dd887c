"""What the first layer of a convolutional network looks at."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import WIDTH, style
from hdlib.figures.validation import checked_array, require_entries


@style()
def filters(weights: Mapping[str, ArrayLike]) -> Figure:
    """First-layer filters at several checkpoints: one row a checkpoint, one column a filter.

    Args:
        weights: label → (O, 1, h, w) weights, of one shape. All share one colour scale, symmetric
            about zero.

    Raises:
        ValueError: if there is none, or for weights of another shape or not finite.
    """
    require_entries("weights", weights)
    shape = np.shape(next(iter(weights.values())))
    expected = (shape[0], 1, *shape[2:]) if len(shape) == 4 else (None, 1, None, None)
    checked = {
        label: checked_array(f"weights[{label!r}]", value, expected)
        for label, value in weights.items()
    }
    rows, columns = len(checked), shape[0]
    limit = max(float(np.abs(value).max()) for value in checked.values()) or 1.0

    side = min(1.0, (WIDTH - 1.8) / columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(1.8 + side * columns, 0.4 + side * rows), squeeze=False
    )
    image = None
    for row, (label, value) in zip(axes, checked.items(), strict=True):
        for ax, weight in zip(row, value[:, 0], strict=True):
            image = ax.imshow(weight, cmap="PuOr", vmin=-limit, vmax=limit)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for column, ax in enumerate(axes[0]):
        ax.set_title(str(column), loc="center")
    fig.suptitle("filter", fontsize=10.5)
    if image is not None:
        fig.colorbar(image, ax=axes, label="weight", pad=0.02)
    return fig
