"""Training and curvature side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.style import (
    BLUE,
    ORANGE,
    VERMILLION,
    WIDTH,
    StepScale,
    step_axis,
    style,
    symmetric_axis,
    wide_range_axis,
)
from hdlib.figures.validation import checked_array, checked_curves

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
MEASURES = {
    "trace": "trace of H",
    "spectral_entropy": "spectral entropy",
    "largest_eigenvalue": "largest eigenvalue λ",
    "n_negative": "eigenvalues λ < 0",
}
LARGEST, SMALLEST = "largest_eigenvalue", "smallest_eigenvalue"


@style()
def summary_panel(
    history: Mapping[str, ArrayLike],
    measures: Mapping[str, ArrayLike],
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    both_ends: bool = False,
    step_scale: StepScale = "log",
) -> Figure:
    """Six panels over training: loss, accuracy, and four measures of the Hessian.

    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        history: ``step`` (S,) and, of the same length, ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy`` (between 0 and 1); NaN where not measured.
        measures: ``step`` (T,) and, of the same length, ``trace``, ``spectral_entropy``,
            ``largest_eigenvalue`` and ``n_negative``. Other keys of both are ignored.
        errors: measure → (T,) standard errors of measures that are estimates, drawn as bars of one
            standard error up and down.
        both_ends: whether the panel of the largest eigenvalue shows the smallest one, too
            (``measures["smallest_eigenvalue"]``), on an axis that is logarithmic to both sides.
        step_scale: of the axis of steps.

    Raises:
        ValueError: for a missing key, arrays that are not finite or do not fit, errors that are
            negative or of what is not drawn, or an unknown scale.
    """
    keys = (*MEASURES, SMALLEST) if both_ends else tuple(MEASURES)
    logged, curves = checked_curves("history", history, CURVES)
    steps, values = checked_curves("measures", measures, keys, missing=False)
    bars = _checked_errors(errors or {}, keys, len(steps))
    everything = np.union1d(logged[[0, -1]], steps)

    fig, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.6), sharex=True)
    for ax, quantity in zip(axes[:, 0], ("loss", "accuracy"), strict=True):
        for part, colour in (("train", BLUE), ("test", ORANGE)):
            draw_curve(ax, logged, curves[f"{part}_{quantity}"], color=colour, label=part)
        ax.set_title(quantity)
    wide_range_axis(axes[0, 0], curves["train_loss"], curves["test_loss"])
    axes[0, 0].legend()
    panels = dict(zip(MEASURES, axes[:, 1:].T.flat, strict=True))
    for key, ax in panels.items():
        draw_curve(ax, steps, values[key], bars.get(key), color=BLUE, marker=".")
        wide_range_axis(ax, values[key])
        ax.set_title(MEASURES[key])
    if both_ends:
        ax = panels[LARGEST]
        draw_curve(ax, steps, values[SMALLEST], bars.get(SMALLEST), color=VERMILLION, marker=".")
        symmetric_axis(ax, values[LARGEST], values[SMALLEST])
        ax.set_title("largest and smallest λ")
    if axes[1, 2].get_yscale() == "linear":
        axes[1, 2].yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for ax in axes.flat:
        ax.grid(axis="y")
        step_axis(ax, everything, step_scale)
    for ax in axes[0]:
        ax.set_xlabel("")
    return fig


def draw_curve(
    ax: Axes,
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64] | None = None,
    *,
    color: str,
    label: str | None = None,
    marker: str | None = None,
) -> None:
    """A curve through the values that are not missing, with points where they are few.

    Args:
        ax: the axes.
        steps: (T,).
        values: (T,), NaN where missing.
        errors: (T,) lengths of error bars, up and down.
        color: of all.
        label: for the legend.
        marker: of the points; by default only where they are fewer than 50.
    """
    known = np.isfinite(values)
    if marker is None and known.sum() < 50:
        marker = "."
    ax.plot(steps[known], values[known], color=color, label=label, marker=marker)
    if errors is not None:
        ax.errorbar(steps[known], values[known], errors[known], fmt="none", ecolor=color, lw=1)


def _checked_errors(
    errors: Mapping[str, ArrayLike], keys: tuple[str, ...], length: int
) -> dict[str, NDArray[np.float64]]:
    unknown = [key for key in errors if key not in keys]
    if unknown:
        raise ValueError(f"errors must be of measures drawn, {keys}, got {unknown}")
    checked = {
        key: checked_array(f"errors[{key!r}]", bars, (length,)) for key, bars in errors.items()
    }
    for key, bars in checked.items():
        if bars.min() < 0:
            raise ValueError(f"errors[{key!r}] must not be negative, got {bars.min():g}")
    return checked
