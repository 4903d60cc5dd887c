"""The largest eigenvalue, as it is and as Adam sees it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    VERMILLION,
    WIDTH,
    StepScale,
    step_axis,
    style,
    wide_range_axis,
)
from hdlib.figures.training import draw_curve
from hdlib.figures.validation import checked_array, checked_steps, require_positive


@style()
def adam_sharpness(
    steps: ArrayLike,
    largest: ArrayLike,
    preconditioned: ArrayLike,
    *,
    ceiling: float,
    step_scale: StepScale = "linear",
) -> Figure:
    """Largest eigenvalue of the Hessian H, and of P⁻¹H with Adam's preconditioner P.

    Full-batch Adam is stable where the latter stays below (2 + 2β₁)/((1 − β₁)η), which is 38/η at
    β₁ = 0.9 (Cohen et al. 2022): the dashed line. The two have different units, hence two panels.
    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        steps: (T,) training steps, ascending.
        largest: (T,) largest eigenvalue of H.
        preconditioned: (T,) largest eigenvalue of P⁻¹H; NaN where there is none, as before the
            first update.
        ceiling: of the preconditioned one.
        step_scale: of the axis of steps.

    Raises:
        ValueError: for arrays that do not fit or are not finite, a ceiling that is not positive, or
            an unknown scale.
    """
    steps = checked_steps(steps)
    largest = checked_array("largest", largest, (len(steps),))
    preconditioned = checked_array("preconditioned", preconditioned, (len(steps),), missing=True)
    require_positive("ceiling", ceiling)

    fig, (above, below) = plt.subplots(2, 1, figsize=(WIDTH, 4.8), sharex=True)
    draw_curve(above, steps, largest, color=BLUE, marker=".")
    above.set_title("largest eigenvalue of H")
    wide_range_axis(above, largest)
    label = f"stability ceiling {ceiling:g}"
    below.axhline(ceiling, color=VERMILLION, ls="--", label=label)
    draw_curve(below, steps, preconditioned, color=BLUE, marker=".")
    below.set_title("largest eigenvalue of P⁻¹H, as Adam sees it")
    below.legend(loc="lower right", bbox_to_anchor=(1, 1))
    wide_range_axis(below, preconditioned, np.array([ceiling]))
    for ax in (above, below):
        ax.grid(axis="y")
        step_axis(ax, steps, step_scale)
        ax.set_ylabel("λ")
        ax.label_outer()
    return fig
