"""The outlying eigenvalues and their eigenspace through training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    CATEGORIES,
    MUTED,
    WIDTH,
    StepScale,
    checkpoint_axis,
    step_axis,
    style,
)
from hdlib.figures.validation import checked_array, checked_steps, require_entries
from hdlib.measures import GapTest


@style()
def gap_scores(
    steps: ArrayLike, tests: Mapping[str, Sequence[GapTest]], *, step_scale: StepScale = "log"
) -> Figure:
    """Scores of gaps against the step, over the band of their thresholds; one panel a test.

    What lies above the band stands out, whichever null is taken; its rank is written beside it.

    Args:
        steps: (T,) training steps, ascending.
        tests: label → T tests, of one gap at each step.
        step_scale: of the axis of steps.

    Raises:
        ValueError: if there is no label, or not one test a step.
    """
    steps = checked_steps(steps)
    require_entries("tests", tests)
    fig, axes = plt.subplots(
        len(tests), 1, figsize=(WIDTH, 0.4 + 2.4 * len(tests)), sharex=True, squeeze=False
    )
    for ax, (label, gaps) in zip(axes[:, 0], tests.items(), strict=True):
        scores = checked_array(f"tests[{label!r}]", [gap.score for gap in gaps], (len(steps),))
        low, high = np.array([gap.threshold for gap in gaps]).T
        ax.fill_between(steps, low, high, color=MUTED, alpha=0.4, lw=0, label="95% thresholds")
        ax.plot(steps, scores, color=BLUE, marker="o", ms=4)
        for step, gap in zip(steps, gaps, strict=True):
            if gap.stands_out:
                ax.annotate(
                    f"{gap.rank}",
                    (step, gap.score),
                    (4, 4),
                    textcoords="offset points",
                    ha="left",
                    size=8,
                )
        ax.set_title(label)
        ax.set_ylabel("score")
        ax.set_ylim(0, 1.15 * max(scores.max(), high.max()))
        ax.grid(axis="y")
        step_axis(ax, steps, step_scale)
        ax.label_outer()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left")
    return fig


@style()
def gradient_fraction(
    steps: ArrayLike, fractions: Mapping[str, ArrayLike], *, chance: float
) -> Figure:
    """Fraction of the squared gradient norm that lies in an eigenspace, against the step.

    Args:
        steps: (T,) training steps, ascending.
        fractions: label → (T,) fractions in [0, 1]; at most 10.
        chance: fraction of a random direction: the dimension of the space over that of all.

    Raises:
        ValueError: for arrays that do not fit, numbers outside [0, 1], or too many curves.
    """
    steps = checked_steps(steps)
    require_entries("fractions", fractions)
    if len(fractions) > len(CATEGORIES):
        raise ValueError(f"fractions must be at most {len(CATEGORIES)}, got {len(fractions)}")
    checked_fraction("chance", chance, ())
    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    for (label, values), colour in zip(fractions.items(), CATEGORIES, strict=False):
        curve = checked_fraction(f"fractions[{label!r}]", values, (len(steps),))
        ax.plot(steps, curve, color=colour, marker="o", ms=4, label=label)
    ax.axhline(chance, color=MUTED, ls="--", label=f"chance ({chance:.2g})")
    ax.set(ylim=(-0.02, 1.02), ylabel="fraction of ‖gradient‖²")
    ax.grid(axis="y")
    step_axis(ax, steps)
    fig.legend(loc="outside upper left", ncols=4)
    return fig


@style()
def subspace_overlap(steps: ArrayLike, overlap: ArrayLike) -> Figure:
    """Overlap of the leading eigenspaces of every two checkpoints: 0 orthogonal, 1 the same.

    Args:
        steps: (T,) training steps, ascending.
        overlap: (T, T) in [0, 1].

    Raises:
        ValueError: for another shape or numbers outside [0, 1].
    """
    steps = checked_steps(steps)
    overlap = checked_fraction("overlap", overlap, (len(steps), len(steps)))
    fig, ax = plt.subplots(figsize=(0.75 * WIDTH, 0.62 * WIDTH))
    image = ax.imshow(overlap, origin="lower", cmap="viridis", vmin=0, vmax=1)
    ax.spines[:].set_visible(False)
    checkpoint_axis(ax, steps, "x")
    checkpoint_axis(ax, steps, "y")
    bar = fig.colorbar(image, label="overlap", pad=0.02)
    bar.outline.set_visible(False)
    return fig


def checked_fraction(name: str, values: ArrayLike, shape: tuple[int, ...]):
    """Numbers in [0, 1], up to rounding."""
    fraction = checked_array(name, values, shape)
    if fraction.min() < -1e-6 or fraction.max() > 1 + 1e-6:
        raise ValueError(f"{name} must lie in [0, 1], got {fraction.min():g} to {fraction.max():g}")
    return fraction
