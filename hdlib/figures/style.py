"""One look for every figure: colours, text sizes, and the axes that many of them share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    SymmetricalLogLocator,
)
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.validation import checked_array

StepScale = Literal["log", "linear"]

# Okabe & Ito (2008): told apart with every common kind of colour blindness.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
# The last three, for networks with many layers, are as far from those as a colour can be.
CATEGORIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, "#999999", "#000000", "#882255")

# Pale enough to lie behind lines of any of those.
PALE_BLUE, PALE_YELLOW, PALE_GREEN = "#E3EDF7", "#FCF0C8", "#DDF1E4"
INK, MUTED, GRID, PAPER = "#222222", "#6B6B6B", "#E3E3E3", "#FFFFFF"
WIDTH = 8.0  # inches: the text column of the book at 100 dots per inch

RC: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": "figure",
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.transparent": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "axes.prop_cycle": cycler(color=CATEGORIES),
}


@contextmanager
def style() -> Iterator[None]:
    """The look of the book, within a ``with`` block or (as ``@style()``) within a function.

    Closes in pyplot whatever figures were opened within, so that a notebook shows a figure once:
    where it is returned.
    """
    before = set(plt.get_fignums())
    try:
        with mpl.rc_context(RC):
            yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def stage_colours(count: int) -> list[tuple[float, ...]]:
    """Colours for ``count`` stages of training, early (dark) to late (light but readable)."""
    return [mpl.colormaps["viridis"](t) for t in np.linspace(0.0, 0.86, count)]


def step_axis(ax: Axes, steps: NDArray[np.int64], scale: StepScale = "log") -> None:
    """Make x an axis of training steps.

    Args:
        ax: the axes.
        steps: (T,) ascending; marked by minor ticks.
        scale: "log", with the first 10 steps linear so that 0 shows; or "linear".

    Raises:
        ValueError: for another scale.
    """
    first, last = int(steps[0]), int(steps[-1])
    if scale == "log":
        ax.set_xscale("symlog", linthresh=10)
        powers = [0, *(10**exponent for exponent in range(1, 16))]
        ticks = [tick for tick in powers if first <= tick <= last]
        if len(ticks) < 2:
            ticks = sorted({first, last})
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
    elif scale == "linear":
        inches = ax.get_window_extent().width / ax.figure.get_dpi()
        ax.xaxis.set_major_locator(MaxNLocator(int(np.clip(inches / 0.5, 2, 7)), integer=True))
    else:
        raise ValueError(f"the scale of steps must be 'log' or 'linear', got {scale!r}")
    ax.xaxis.set_minor_locator(FixedLocator(steps.tolist()))
    ax.xaxis.set_minor_formatter(NullFormatter())
    transform = ax.xaxis.get_transform()
    low, high = transform.transform(np.array([first, last], dtype=float))
    margin = 0.03 * (high - low) or 5.0
    ax.set_xlim(*transform.inverted().transform(np.array([low - margin, high + margin])))
    ax.set_xlabel("step")


def shade_steps(ax: Axes, interval: ArrayLike, *, name: str, colour: str, label: str) -> None:
    """Shade the training steps of an interval.

    Args:
        ax: axes of steps.
        interval: first and last step.
        name: what to call the interval in a message.
        colour: of the band, pale.
        label: for the legend.

    Raises:
        ValueError: unless the interval is two steps, not descending.
    """
    first, last = checked_array(name, interval, (2,))
    if first > last:
        raise ValueError(f"{name} must go from a step to a later one, got {first:g} to {last:g}")
    ax.axvspan(first, last, color=colour, lw=0, zorder=0, label=label)


def checkpoint_axis(ax: Axes, steps: NDArray[np.int64], which: Literal["x", "y"] = "x") -> None:
    """Label an axis that counts checkpoints 0 … T − 1 by their steps, as many as there is room for.

    Args:
        ax: the axes.
        steps: (T,) the step of each checkpoint.
        which: the axis to label.
    """
    extent = ax.get_window_extent()
    length = extent.width if which == "x" else extent.height
    room = length / ax.figure.get_dpi() / len(steps)
    taken, shown = -np.inf, []
    for index, step in enumerate(steps.tolist()):
        half = 0.045 * len(str(step)) if which == "x" else 0.08
        if index * room - half > taken:
            shown.append(index)
            taken = index * room + half + 0.04
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_ticks(shown, [str(steps[index]) for index in shown])
    axis.set_minor_locator(FixedLocator(range(len(steps))))
    axis.set_label_text("step of the checkpoint")


def symmetric_axis(ax: Axes, *values: NDArray[np.float64]) -> None:
    """Make y logarithmic on both sides of zero, and linear about it up to the smallest |value|.

    Values below 10⁻¹⁰ of the largest do not count: there are no decades for them.
    """
    sizes = np.abs(np.concatenate([np.ravel(part) for part in values]))
    sizes = sizes[sizes > 1e-10 * sizes.max()]
    if sizes.size:
        linthresh = 10.0 ** np.floor(np.log10(sizes.min()))
        # Two decades wide, so that the labels at its ends and at zero keep apart.
        ax.set_yscale("symlog", linthresh=linthresh, linscale=2)
        locator = SymmetricalLogLocator(base=10, linthresh=linthresh)
        locator.numticks = 8
        ax.yaxis.set_major_locator(locator)


def wide_range_axis(ax: Axes, *values: NDArray[np.float64]) -> None:
    """Make y logarithmic where all finite values are positive and span more than a factor 30."""
    joined = np.concatenate([np.ravel(part) for part in values])
    joined = joined[np.isfinite(joined)]
    if joined.size and joined.min() > 0 and joined.max() > 30 * joined.min():
        ax.set_yscale("log")
        few = joined.max() < 300 * joined.min()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        if few or (joined.min() >= 1e-4 and joined.max() < 1e5):
            ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
