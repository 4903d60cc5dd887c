"""Axes that many figures share: training steps, checkpoints, numbers of many sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    SymmetricalLogLocator,
)
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.style import PALE_BLUE, PALE_GREEN, PALE_YELLOW, WIDTH
from hdlib.figures.validation import checked_array

Scale = Literal["log", "linear"]


def step_axis(ax: Axes, steps: NDArray[np.int64], scale: Scale = "log") -> None:
    """Make x an axis of training steps.

    Args:
        ax: the axes.
        steps: (T,) ascending, from the first to the last that is shown; marked by minor ticks.
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


def number_axis(ax: Axes, x: NDArray[np.float64], scale: Scale) -> None:
    """Make x an axis of numbers.

    Args:
        ax: the axes.
        x: (X,) the numbers.
        scale: "log" or "linear".

    Raises:
        ValueError: for another scale, or numbers that are not positive on a logarithmic one.
    """
    if scale not in get_args(Scale):
        raise ValueError(f"the scale of x must be 'log' or 'linear', got {scale!r}")
    if scale == "log":
        if x.min() <= 0:
            raise ValueError(f"x must be positive on a logarithmic axis, got {x.min():g}")
        log_axis(ax, "x", x)


def shade(ax: Axes, intervals: Mapping[str, ArrayLike], *, name: str = "") -> None:
    """Shade one interval of x, or up to three that have a colour each.

    Args:
        ax: the axes.
        intervals: label → first and last x.
        name: what to call the axes in a message.

    Raises:
        ValueError: for more, or an interval that is not two numbers, not descending.
    """
    colours = (PALE_BLUE, PALE_YELLOW, PALE_GREEN) if len(intervals) > 1 else (PALE_YELLOW,)
    if len(intervals) > len(colours):
        raise ValueError(f"{name}shaded must be at most 3 intervals, got {len(intervals)}")
    for (label, interval), colour in zip(intervals.items(), colours, strict=False):
        first, last = checked_array(f"{name}{label}", interval, (2,))
        if first > last:
            raise ValueError(
                f"{name}{label} must go from a step to a later one, got {first:g} to {last:g}"
            )
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


def log_axis(ax: Axes, which: Literal["x", "y"], values: NDArray[np.float64]) -> None:
    """Make an axis logarithmic, with plain numbers where these are short.

    Args:
        ax: the axes.
        which: the axis.
        values: what it shows. Where none of them is positive, it stays as it is.
    """
    shown = values[(values > 0) & np.isfinite(values)]
    if not shown.size:
        return
    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    few = shown.max() < 300 * shown.min()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    if few or (shown.min() >= 1e-4 and shown.max() < 1e5):
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def symmetric_axis(ax: Axes, values: NDArray[np.float64]) -> None:
    """Make y logarithmic on both sides of zero, and linear about it up to the smallest |value|.

    Values below 10⁻¹⁰ of the largest do not count: there are no decades for them.
    """
    sizes = np.abs(values)
    sizes = sizes[sizes > 1e-10 * sizes.max(initial=0)]
    if sizes.size:
        linthresh = 10.0 ** np.floor(np.log10(sizes.min()))
        # Two decades wide, so that the labels at its ends and at zero keep apart.
        ax.set_yscale("symlog", linthresh=linthresh, linscale=2)
        locator = SymmetricalLogLocator(base=10, linthresh=linthresh)
        locator.numticks = 8
        ax.yaxis.set_major_locator(locator)


def colour_bar(
    fig: Figure, mappable: ScalarMappable, axes: Axes | Sequence[Axes], label: str, **options: Any
) -> Colorbar:
    """A colour bar without a frame beside axes."""
    bar = fig.colorbar(mappable, ax=axes, label=label, **{"pad": 0.02, **options})  # pyright: ignore
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return bar


def legend(fig: Figure, handles: Sequence[Any]) -> None:
    """A legend above all axes, in as many columns as there is room for; none without handles."""
    sizes = [0.6 + 0.065 * len(str(handle.get_label())) for handle in handles]  # inches
    for columns in range(len(sizes), 0, -1):
        width = sum(max(column) for column in np.array_split(sizes, columns))
        if width <= WIDTH or columns == 1:
            fig.legend(handles=handles, loc="outside upper left", ncols=columns)
            break
