"""The same curve of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, WIDTH, StepScale, step_axis, style
from hdlib.figures.training import draw_curve
from hdlib.figures.validation import checked_array, checked_steps, require_entries

Quantity = Literal["accuracy", "loss"]


@style()
def seeds(
    runs: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]],
    *,
    quantity: Quantity,
    step_scale: StepScale = "log",
) -> Figure:
    """Test accuracy, or test loss on a logarithmic axis, of several runs.

    Args:
        runs: label, say a model → its runs, say of several seeds, in one colour: each
            (steps (T,), values (T,)), NaN where not measured. At most 10 labels.
        quantity: what the values are.
        step_scale: of the axis of steps.

    Raises:
        ValueError: if there is no run or too many labels, arrays do not fit or are not finite, or
            for an unknown quantity or scale.
    """
    require_entries("runs", runs)
    if len(runs) > len(CATEGORIES):
        raise ValueError(f"runs must have at most {len(CATEGORIES)} labels, got {len(runs)}")
    if quantity not in get_args(Quantity):
        raise ValueError(f"quantity must be one of {get_args(Quantity)}, got {quantity!r}")

    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    everything = np.empty(0, np.int64)
    for (label, group), colour in zip(runs.items(), CATEGORIES, strict=False):
        require_entries(f"runs[{label!r}]", group)
        for i, (steps, values) in enumerate(group):
            steps = checked_steps(steps, name=f"steps of runs[{label!r}][{i}]")
            values = checked_array(
                f"values of runs[{label!r}][{i}]", values, (len(steps),), missing=True
            )
            draw_curve(ax, steps, values, color=colour, label="_same" if i else label)
            everything = np.union1d(everything, steps[[0, -1]])
    if quantity == "accuracy":
        ax.set_ylim(-0.02, 1.02)
    else:
        ax.set_yscale("log")
    ax.set_ylabel(f"test {quantity}")
    ax.grid(axis="y")
    step_axis(ax, everything, step_scale)
    fig.legend(loc="outside upper left", ncols=3)
    return fig
