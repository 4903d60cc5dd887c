"""The outlying eigenvalues and their eigenspace through training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    CATEGORIES,
    MUTED,
    VERMILLION,
    WIDTH,
    checkpoint_axis,
    step_axis,
    style,
    wide_range_axis,
)
from hdlib.figures.validation import (
    checked_array,
    checked_steps,
    require_entries,
    require_positive,
)


@style()
def outlier_counts(
    steps: ArrayLike, counts: ArrayLike, scores: ArrayLike, *, n_classes: int, threshold: float
) -> Figure:
    """How many eigenvalues lie above the largest relative gap, and whether it stands out.

    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        steps: (T,) training steps, ascending.
        counts: (T,) numbers of eigenvalues above the gap.
        scores: (T,) the gap in units of those of a featureless tail.
        n_classes: number of classes, drawn for comparison.
        threshold: the score above which a gap stands out.

    Raises:
        ValueError: for arrays that are not finite or do not fit, or ``n_classes`` not positive.
    """
    steps = checked_steps(steps)
    counts = checked_array("counts", counts, (len(steps),))
    scores = checked_array("scores", scores, (len(steps),))
    require_positive("n_classes", n_classes)

    fig, (above, below) = plt.subplots(2, 1, figsize=(WIDTH, 4.8), sharex=True)
    above.axhline(n_classes, color=VERMILLION, ls="--", label=f"{n_classes} classes")
    above.plot(steps, counts, color=BLUE, marker="o", ms=4)
    above.set_ylabel("eigenvalues above the gap")
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    wide_range_axis(above, counts)
    below.axhline(threshold, color=MUTED, ls=":", label="95% of featureless tails stay below")
    below.plot(steps, scores, color=BLUE, marker="o", ms=4)
    below.set_ylabel("score of the gap")
    below.set_ylim(bottom=0)
    fig.legend(loc="outside upper left", ncols=2)
    for ax in (above, below):
        ax.grid(axis="y")
        step_axis(ax, steps)
        ax.label_outer()
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
