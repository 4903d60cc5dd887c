"""The largest eigenvalue, as it is and as Adam sees it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    PALE_YELLOW,
    VERMILLION,
    WIDTH,
    StepScale,
    shade_steps,
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
    loss: ArrayLike,
    ceiling: float,
    transition: tuple[int, int] | None = None,
    step_scale: StepScale = "linear",
) -> Figure:
    """Largest eigenvalue of the Hessian H, over the loss, and of P⁻¹H with Adam's preconditioner P.

    Full-batch Adam is stable where the latter stays below (2 + 2β₁)/((1 − β₁)η), which is 38/η at
    β₁ = 0.9 (Cohen et al. 2022): the dashed line. As a pair becomes certain, what it adds to H
    falls with what it adds to the loss; their ratio says what is not owed to the loss alone.
    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        steps: (T,) training steps, ascending.
        largest: (T,) largest eigenvalue of H.
        preconditioned: (T,) largest eigenvalue of P⁻¹H; NaN where there is none, as before the
            first update.
        loss: (T,) training loss, positive.
        ceiling: of the preconditioned one.
        transition: first and last step of it, shaded.
        step_scale: of the axis of steps.

    Raises:
        ValueError: for arrays that do not fit or are not finite, a loss or a ceiling that is not
            positive, or an unknown scale.
    """
    steps = checked_steps(steps)
    largest = checked_array("largest", largest, (len(steps),))
    preconditioned = checked_array("preconditioned", preconditioned, (len(steps),), missing=True)
    loss = checked_array("loss", loss, (len(steps),))
    require_positive("loss", float(loss.min()))
    require_positive("ceiling", ceiling)

    fig, axes = plt.subplots(3, 1, figsize=(WIDTH, 6.6), sharex=True)
    above, middle, below = axes
    if transition is not None:
        for ax in axes:
            shade_steps(ax, transition, name="transition", colour=PALE_YELLOW, label="transition")
    for ax, values, title in (
        (above, largest, "largest eigenvalue of H"),
        (middle, largest / loss, "largest eigenvalue of H over the training loss"),
    ):
        draw_curve(ax, steps, values, color=BLUE, marker=".")
        ax.set_title(title)
        wide_range_axis(ax, values)
    label = f"stability ceiling {ceiling:g}"
    below.axhline(ceiling, color=VERMILLION, ls="--", label=label)
    draw_curve(below, steps, preconditioned, color=BLUE, marker=".")
    below.set_title("largest eigenvalue of P⁻¹H, as Adam sees it")
    fig.legend(*below.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    wide_range_axis(below, preconditioned, np.array([ceiling]))
    middle.set_ylabel("λ / loss")
    for ax in axes:
        ax.grid(axis="y")
        step_axis(ax, steps, step_scale)
        ax.set_ylabel(ax.get_ylabel() or "λ")
        ax.label_outer()
    return fig
