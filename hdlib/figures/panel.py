"""What one pair of axes with labelled curves holds, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hdlib.figures.axes import log_axis, shade, symmetric_axis
from hdlib.figures.style import MUTED, VERMILLION
from hdlib.figures.validation import FloatArray, IntArray, checked_array, checked_steps

FEW = 100
"""Fewer points than this are marked on their curve, and as ticks on the axis of steps."""


class Curve(NamedTuple):
    """Values where they were measured.

    Attributes:
        x: (X,) places: training steps, ascending, or any other numbers.
        y: (X,) values, NaN where missing.
        errors: (X,) lengths of error bars up and down, none by default.
        colour: a colour, by default that of the label.
        markers: "few" where there are fewer than 100 points, "none", or "hollow", as where a value
            is only known to lie beyond.
    """

    x: ArrayLike
    y: ArrayLike
    errors: ArrayLike | None = None
    colour: str | None = None
    markers: Literal["few", "none", "hollow"] = "few"

    @property
    def marked(self) -> bool:
        """Whether each of its points can be seen, and the place of each on the axis of steps."""
        return self.markers != "none" and np.size(self.x) < FEW


Curves: TypeAlias = ArrayLike | Curve | Sequence[Curve]
"""One curve as (X,) values at a panel's x or as a `Curve`; or several, of one colour and one entry
in the legend, as (X, m) values or a sequence of `Curve`."""


@dataclass(frozen=True)
class Panel:
    """Labelled curves on one pair of axes.

    Attributes:
        curves: label → `Curves`, at most 10 labels in a figure; "" has no entry in the legend.
        x: (X,) places of all that is given as an array: curves, nulls, points, background, band.
        nulls: label → `Curves` of a null, or one number for all x; dashed, in the colour of the
            curves of the same label where there are some, else grey.
        limits: label → number, say a ceiling; a dashed line.
        points: label → `Curves` that are not connected, as they have no order.
        background: label → `Curves` behind the others, thin and grey.
        band: label → lower and upper end, (X,) each; a grey band.
        marks: (x, y, text), text written beside a point.
        shaded: label → first and last x of an interval: one, or up to three of them.
        ylabel: what the values are.
        yscale: "linear", "log", "symlog", or "wide": logarithmic where all values are positive and
            span more than a factor 30.
        covers: numbers that the y axis shows at least.
    """

    curves: Mapping[str, Curves]
    x: ArrayLike | None = None
    nulls: Mapping[str, Curves | float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    points: Mapping[str, Curves] = field(default_factory=dict)
    background: Mapping[str, Curves] = field(default_factory=dict)
    band: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    marks: Sequence[tuple[float, float, str]] = ()
    shaded: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ylabel: str = ""
    yscale: Literal["linear", "log", "symlog", "wide"] = "linear"
    covers: Sequence[float] = ()


def draw_panel(
    ax: Axes, panel: Panel, colours: Mapping[str, Any], *, name: str, steps: bool
) -> list[Curve]:
    """Draw a panel.

    Args:
        ax: the axes.
        panel: what to draw.
        colours: label → colour.
        name: what to call the panel in a message.
        steps: whether x are training steps.

    Returns:
        The curves in it, checked.

    Raises:
        ValueError: see `hdlib.figures.curves`.
    """
    shown: list[Curve] = []

    def plot(kind: str, label: str, *, entry: bool = True, **options: Any) -> None:
        value = getattr(panel, kind)[label]
        found = _checked(f"{name}{kind}[{label!r}]", value, panel.x, steps=steps)
        for i, curve in enumerate(found):
            first = entry and label and not i
            _plot(ax, curve, label=label if first else "_same", **options)
        shown.extend(found)

    for label, ends in panel.band.items():
        x = _checked_x(f"{name}x", panel.x, steps=steps)
        low, high = (checked_array(f"{name}band[{label!r}]", end, (len(x),)) for end in ends)
        ax.fill_between(x, low, high, color=MUTED, alpha=0.4, lw=0, label=label)
    for label in panel.background:
        plot("background", label, color=MUTED, lw=0.6, marker="")
    for label in panel.curves:
        plot("curves", label, color=colours[label])
    for label in panel.points:
        plot("points", label, color=colours[label], ls="", marker="o")
    levels = list(panel.limits.values())
    for label, value in panel.nulls.items():
        own = label in panel.curves
        dashes: dict[str, Any] = {"color": colours[label] if own else MUTED, "ls": "--", "lw": 1.2}
        if isinstance(value, float | int):
            ax.axhline(value, label="_null" if own else label, **dashes)
            levels.append(value)
        else:
            plot("nulls", label, entry=not own, marker="", **dashes)
    for label, limit in panel.limits.items():
        ax.axhline(limit, color=VERMILLION, ls="--", label=label)
    for x, y, text in panel.marks:
        ax.annotate(text, (x, y), (4, 4), textcoords="offset points", size=8)
    shade(ax, panel.shaded, name=name)
    ax.set_ylabel(panel.ylabel)
    values = np.concatenate([np.ravel(curve.y) for curve in shown] + [levels])
    _scale(ax, panel, name, values[np.isfinite(values)])
    return shown


def _scale(ax: Axes, panel: Panel, name: str, values: FloatArray) -> None:
    """The y axis that a panel asks for, with the finite values that it has."""
    if panel.yscale == "symlog":
        symmetric_axis(ax, values)
    elif panel.yscale == "log":
        log_axis(ax, "y", values)
    elif panel.yscale == "wide":
        if values.size and 0 < 30 * values.min() < values.max():
            log_axis(ax, "y", values)
    elif panel.yscale != "linear":
        raise ValueError(
            f"{name}yscale must be 'linear', 'log', 'symlog' or 'wide', got {panel.yscale!r}"
        )
    for value in panel.covers:
        ax.update_datalim([(0, value)], updatex=False)
    ax.autoscale_view()


def _plot(ax: Axes, curve: Curve, *, color: Any, **options: Any) -> None:
    """A curve through the values that are not missing, with points where they are few."""
    x, y = np.asarray(curve.x), np.asarray(curve.y)
    known = np.isfinite(y)
    color = curve.colour or color
    marker = "." if curve.marked else ""
    if curve.markers == "hollow":
        options["mfc"] = "none"
    ax.plot(x[known], y[known], color=color, **{"marker": marker, **options})
    if curve.errors is not None:
        errors = np.asarray(curve.errors)[known]
        ax.errorbar(x[known], y[known], errors, fmt="none", ecolor=color, lw=1)


def _checked(name: str, value: Curves, x: ArrayLike | None, *, steps: bool) -> list[Curve]:
    """The curves of one label, each of arrays that fit."""
    if isinstance(value, Curve):
        given = [value]
    elif isinstance(value, Sequence) and value and isinstance(value[0], Curve):
        given = [curve for curve in value if isinstance(curve, Curve)]
    else:
        place = _checked_x(f"x of {name}", x, steps=steps)
        shape = (len(place),) if np.ndim(value) < 2 else (len(place), None)  # pyright: ignore
        array = checked_array(name, value, shape, missing=True)  # pyright: ignore
        return [Curve(place, column) for column in array.reshape(len(place), -1).T]
    found = []
    for curve in given:
        place = _checked_x(f"x of {name}", curve.x, steps=steps)
        y = checked_array(name, curve.y, (len(place),), missing=True)
        errors = curve.errors
        if errors is not None:
            errors = checked_array(f"errors of {name}", errors, (len(place),))
            if errors.min() < 0:
                raise ValueError(f"errors of {name} must not be negative, got {errors.min():g}")
        found.append(Curve(place, y, errors, curve.colour, curve.markers))
    return found


def _checked_x(name: str, x: ArrayLike | None, *, steps: bool) -> IntArray | FloatArray:
    if x is None:
        raise ValueError(f"{name} must be given where curves are arrays, got none")
    return checked_steps(x, name=name) if steps else checked_array(name, x, (None,))
