"""Labelled curves over training steps or any other x, in panels with one legend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hdlib.figures.axes import Scale, legend, number_axis, step_axis
from hdlib.figures.panel import Panel, draw_panel
from hdlib.figures.style import CATEGORIES, MUTED, WIDTH, stage_colours, style
from hdlib.figures.validation import labelled, require_entries, require_positive


@style()
def curves(
    panels: Mapping[str, Panel] | Panel,
    *,
    columns: int = 1,
    xlabel: str | None = None,
    xscale: Scale = "log",
    sharey: bool = False,
    stages: bool = False,
) -> Figure:
    """Labelled curves, in one panel or several with one x axis and one legend.

    A label has the same colour in all panels. A curve goes on where a value is missing; its points
    are marked where they are fewer than 100.

    Args:
        panels: title → `Panel`, row by row; or one.
        columns: how many panels stand side by side.
        xlabel: what x is; by default training steps.
        xscale: "log" or "linear"; of steps the first 10 are linear so that 0 shows.
        sharey: whether all panels have one y axis.
        stages: whether labels are stages in their order: dark to light instead of ten hues.

    Raises:
        ValueError: if there is no panel or no curve or there are too many labels, arrays do not fit
            or are not finite, steps do not ascend, errors are negative, an interval ends before it
            begins, or for an unknown scale.
    """
    panels = labelled(panels)
    require_entries("panels", panels)
    require_positive("columns", columns)
    colours = _colours(panels.values(), stages=stages)
    rows = -(-len(panels) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, 3.8 if rows == 1 else 0.5 + 2.2 * rows),
        sharex=xlabel is not None,  # steps have ticks of their own in each panel
        sharey=sharey,
        squeeze=False,
    )
    used, unused = axes.flat[: len(panels)], axes.flat[len(panels) :]
    drawn = []
    for ax, (title, panel) in zip(used, panels.items(), strict=True):
        name = f"panels[{title!r}]." if title else ""
        drawn.append(draw_panel(ax, panel, colours, name=name, steps=xlabel is None))
        ax.set_title(title)
    x = np.concatenate([np.asarray(curve.x) for found in drawn for curve in found])
    for i, (ax, found) in enumerate(zip(used, drawn, strict=True)):
        if xlabel is None:
            few = [np.asarray(curve.x) for curve in found if curve.marked]
            step_axis(ax, np.unique(np.concatenate([[x.min(), x.max()], *few])), xscale)
        else:
            number_axis(ax, x, xscale)
        beneath = i + columns < len(panels)
        ax.set_xlabel("" if beneath else xlabel or "step")
        ax.tick_params(labelbottom=not beneath)
        ax.grid(axis="y" if xlabel is None else "both")
        if sharey and i % columns:
            ax.set_ylabel("")
    for ax in unused:
        ax.set_visible(False)
    handles = {}
    for ax in used:
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    if any(label in panel.curves for panel in panels.values() for label in panel.nulls):
        handles["null"] = Line2D([], [], color=MUTED, ls="--", lw=1.2, label="null")
    legend(fig, list(handles.values()))
    return fig


def _colours(panels: Collection[Panel], *, stages: bool) -> dict[str, Any]:
    """The colour of each label, in the order in which they are first met."""
    labels = dict.fromkeys(name for panel in panels for name in (*panel.curves, *panel.points))
    if not labels and not any(panel.background for panel in panels):
        raise ValueError("curves must have at least one entry, got none")
    named = [label for label in labels if label]
    if not stages and len(named) > len(CATEGORIES):
        raise ValueError(f"curves must have at most {len(CATEGORIES)} labels, got {len(named)}")
    hues = stage_colours(len(named)) if stages else CATEGORIES
    return {"": CATEGORIES[0], **dict(zip(named, hues, strict=False))}
