"""How hard the network's couplings are to cut, through training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    CATEGORIES,
    MUTED,
    WIDTH,
    StepScale,
    step_axis,
    style,
    wide_range_axis,
)
from hdlib.figures.training import draw_curve
from hdlib.figures.validation import checked_array, checked_steps, require_entries


@style()
def connectivity_curves(
    steps: ArrayLike,
    values: Mapping[str, ArrayLike],
    *,
    null: ArrayLike | None = None,
    step_scale: StepScale = "log",
) -> Figure:
    """Algebraic connectivity λ₂ over training: of all couplings, of each layer's, and of a null.

    The vertical axis is logarithmic where all values are positive and span more than a factor 30.

    Args:
        steps: (T,) training steps, ascending.
        values: label → (T,) λ₂, NaN where not measured; at most 10 labels.
        null: (T,) λ₂ of permuted couplings, dashed.
        step_scale: of the axis of steps.

    Raises:
        ValueError: if there is no curve or there are too many, arrays do not fit or are not finite,
            or for an unknown scale.
    """
    steps = checked_steps(steps)
    require_entries("values", values)
    if len(values) > len(CATEGORIES):
        raise ValueError(f"values must have at most {len(CATEGORIES)} labels, got {len(values)}")
    curves = {
        label: checked_array(f"values[{label!r}]", curve, (len(steps),), missing=True)
        for label, curve in values.items()
    }
    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    for (label, curve), colour in zip(curves.items(), CATEGORIES, strict=False):
        draw_curve(ax, steps, curve, color=colour, label=label)
    drawn = list(curves.values())
    if null is not None:
        drawn.append(checked_array("null", null, (len(steps),), missing=True))
        ax.plot(steps, drawn[-1], color=MUTED, ls="--", label="null: permuted couplings")
    wide_range_axis(ax, *drawn)
    ax.set_ylabel("algebraic connectivity λ₂")
    ax.grid(axis="y")
    step_axis(ax, steps, step_scale)
    fig.legend(loc="outside upper left", ncols=5)
    return fig
