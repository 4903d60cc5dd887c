"""Losses and accuracies of a run that generalises late, with its phases."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_YELLOW,
    PURPLE,
    VERMILLION,
    WIDTH,
    shade_steps,
    step_axis,
    style,
)
from hdlib.figures.training import draw_curve
from hdlib.figures.validation import checked_curves

SHADES = {"memorisation": PALE_BLUE, "circuit formation": PALE_YELLOW, "clean-up": PALE_GREEN}
LOSSES = {"train_loss": ("train", BLUE), "test_loss": ("test", ORANGE)}
ACCURACIES = {"train_accuracy": ("train", BLUE), "test_accuracy": ("test", ORANGE)}
PAIRS = {
    "mirrored_accuracy": ("test, mirror in training", MUTED),
    "other_accuracy": ("test, all others", VERMILLION),
}
PROGRESS = {"restricted_loss": ("restricted", GREEN), "excluded_loss": ("excluded", PURPLE)}


@style()
def training_phases(
    history: Mapping[str, ArrayLike],
    phases: tuple[int | None, int | None, int | None],
    *,
    progress: Mapping[str, ArrayLike] | None = None,
    pairs: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Loss (logarithmic) and accuracy, with memorisation, circuit formation and clean-up shaded.

    A phase that has not ended is shaded to the end of training; those after it have not begun.

    Args:
        history: ``step`` (S,) and, of the same length, ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy``; NaN where not measured.
        phases: steps where memorisation, circuit formation and clean-up end, None for one that did
            not (see `hdlib.measures.phases`).
        progress: ``step`` (T,) and, of the same length, ``restricted_loss`` and ``excluded_loss``:
            drawn beside the losses.
        pairs: ``step`` (T,) and, of the same length, ``mirrored_accuracy`` and ``other_accuracy``
            of the test pairs: drawn beside the accuracies. Other keys of all mappings are ignored.

    Raises:
        ValueError: for a missing key, arrays that do not fit, or phases that end before they begin.
    """
    logged, curves = checked_curves("history", history, (*LOSSES, *ACCURACIES))
    bands = _bands(phases, int(logged[0]), int(logged[-1]))
    marked = np.unique(logged[[0, -1]])
    fig, (loss, accuracy) = plt.subplots(
        2, 1, figsize=(WIDTH, 5.4), sharex=True, height_ratios=(3, 2)
    )
    for ax, drawn in ((loss, LOSSES), (accuracy, ACCURACIES)):
        for key, (label, colour) in drawn.items():
            draw_curve(ax, logged, curves[key], label=label, color=colour)
    if progress is not None:
        measured, values = checked_curves("progress", progress, tuple(PROGRESS))
        marked = np.union1d(marked, measured)
        for key, (label, colour) in PROGRESS.items():
            draw_curve(loss, measured, values[key], label=label, color=colour)
    if pairs is not None:
        measured, values = checked_curves("pairs", pairs, tuple(PAIRS))
        for key, (label, colour) in PAIRS.items():
            draw_curve(accuracy, measured, values[key], label=label, color=colour)
        accuracy.legend(loc="lower right")
    for ax in (loss, accuracy):
        for label, band in bands.items():
            shade_steps(ax, band, name=label, colour=SHADES[label], label=label)
    loss.set(yscale="log", ylabel="loss")
    accuracy.set(ylim=(-0.02, 1.02), ylabel="accuracy")
    for ax in (loss, accuracy):
        ax.grid(axis="y")
        step_axis(ax, marked, "linear")
        ax.label_outer()
    fig.legend(
        *loss.get_legend_handles_labels(), loc="outside upper left", ncols=4 if progress else 5
    )
    return fig


def _bands(
    phases: tuple[int | None, int | None, int | None], first: int, last: int
) -> dict[str, tuple[int, int]]:
    """First and last step of each phase that has begun."""
    ended = [end for end in phases if end is not None]
    if list(phases[: len(ended)]) != ended or ended != sorted(ended) or len(phases) != len(SHADES):
        raise ValueError(
            "phases must be three steps in ascending order, None for one that did not end and all "
            f"after it, got {phases}"
        )
    ends = [*ended, *[last] * (len(ended) < len(SHADES))]
    return dict(zip(SHADES, pairwise([first, *ends]), strict=False))
