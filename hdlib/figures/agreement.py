"""How far two groupings of the parameters agree, through training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, MUTED, WIDTH, StepScale, step_axis, style
from hdlib.figures.training import draw_curve
from hdlib.figures.validation import checked_array, checked_steps, require_entries


@style()
def agreement_curves(
    steps: ArrayLike,
    values: Mapping[str, ArrayLike],
    *,
    nulls: Mapping[str, ArrayLike] | None = None,
    step_scale: StepScale = "log",
) -> Figure:
    """Adjusted Rand index over training: 1 where two groupings are the same, about 0 by chance.

    Args:
        steps: (T,) training steps, ascending.
        values: what the clusters are compared with → (T,) index, at most 1; NaN where there is
            none, as at the first checkpoint for an agreement with the one before. At most 10.
        nulls: some of the same labels → (T,) the index of a null, dashed in the same colour.
        step_scale: of the axis of steps.

    Raises:
        ValueError: if there is no curve or there are too many, a null has no curve, arrays do not
            fit, are not finite or exceed 1, or for an unknown scale.
    """
    steps = checked_steps(steps)
    require_entries("values", values)
    if len(values) > len(CATEGORIES):
        raise ValueError(f"values must have at most {len(CATEGORIES)} labels, got {len(values)}")
    nulls = nulls or {}
    unknown = [label for label in nulls if label not in values]
    if unknown:
        raise ValueError(f"nulls must be of curves drawn, {tuple(values)}, got {unknown}")

    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    lowest = 0.0
    for (label, value), colour in zip(values.items(), CATEGORIES, strict=False):
        curve = _checked_index(f"values[{label!r}]", value, len(steps))
        draw_curve(ax, steps, curve, color=colour, label=label)
        lowest = np.nanmin([lowest, *curve])
        if label in nulls:
            null = _checked_index(f"nulls[{label!r}]", nulls[label], len(steps))
            ax.plot(steps, null, color=colour, ls="--", lw=1.2)
            lowest = np.nanmin([lowest, *null])
    ax.set(ylim=(lowest - 0.03, 1.03), ylabel="adjusted Rand index")
    ax.grid(axis="y")
    step_axis(ax, steps, step_scale)
    handles = ax.get_legend_handles_labels()[0]
    if nulls:
        handles.append(Line2D([], [], color=MUTED, ls="--", lw=1.2, label="null"))
    fig.legend(handles=handles, loc="outside upper left", ncols=3)
    return fig


def _checked_index(name: str, values: ArrayLike, length: int) -> np.ndarray:
    index = checked_array(name, values, (length,), missing=True)
    if (index > 1 + 1e-9).any():
        raise ValueError(f"{name} must be at most 1, got {np.nanmax(index):g}")
    return index
