"""Training and curvature side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hdlib.figures.style import BLUE, ORANGE, WIDTH, step_axis, style, wide_range_axis
from hdlib.figures.validation import checked_array, checked_steps, require_keys

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
MEASURES = {
    "trace": "trace of H",
    "spectral_entropy": "spectral entropy",
    "largest_eigenvalue": "largest eigenvalue λ",
    "n_negative": "eigenvalues λ < 0",
}


@style()
def summary_panel(history: Mapping[str, ArrayLike], measures: Mapping[str, ArrayLike]) -> Figure:
    """Six panels over training: loss, accuracy, and four measures of the Hessian.

    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        history: ``step`` (S,) and, of the same length, ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy`` (between 0 and 1); NaN where not measured.
        measures: ``step`` (T,) and, of the same length, ``trace``, ``spectral_entropy``,
            ``largest_eigenvalue`` and ``n_negative``. Other keys of both are ignored.

    Raises:
        ValueError: for a missing key, or arrays that are not finite or do not fit.
    """
    require_keys("history", history, ("step", *CURVES))
    require_keys("measures", measures, ("step", *MEASURES))
    logged = checked_steps(history["step"], name="history['step']")
    steps = checked_steps(measures["step"], name="measures['step']")
    curves = {
        key: checked_array(f"history[{key!r}]", history[key], (len(logged),), missing=True)
        for key in CURVES
    }
    everything = np.union1d(logged[[0, -1]], steps)

    fig, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.6), sharex=True)
    for ax, quantity in zip(axes[:, 0], ("loss", "accuracy"), strict=True):
        for part, colour in (("train", BLUE), ("test", ORANGE)):
            values = curves[f"{part}_{quantity}"]
            measured = np.isfinite(values)
            marker = "." if measured.sum() < 50 else None
            ax.plot(logged[measured], values[measured], color=colour, label=part, marker=marker)
        ax.set_title(quantity)
    wide_range_axis(axes[0, 0], curves["train_loss"], curves["test_loss"])
    axes[0, 0].legend()
    for ax, (key, title) in zip(axes[:, 1:].T.flat, MEASURES.items(), strict=True):
        values = checked_array(f"measures[{key!r}]", measures[key], (len(steps),))
        ax.plot(steps, values, color=BLUE, marker=".")
        wide_range_axis(ax, values)
        ax.set_title(title)
    axes[1, 2].yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for ax in axes.flat:
        ax.grid(axis="y")
        step_axis(ax, everything)
    for ax in axes[0]:
        ax.set_xlabel("")
    return fig
