"""What a sum of two matrices is grouped by, against how much of it the second one is."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, WIDTH, style
from hdlib.figures.validation import checked_array, require_entries, require_keys

MARKERS = ("o", "s", "^", "v", "D")


@style()
def mixture_curves(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    xlabel: str,
    unconnected: Collection[str] = (),
) -> Figure:
    """Adjusted Rand index with each set of labels against a ratio, on a logarithmic axis.

    One panel a set of labels, side by side, with the same curves.

    Args:
        panels: labels that are compared → curve → ratios, (m,) positive, and index, (m,) at most 1.
            At most 10 curves.
        xlabel: what the ratio is.
        unconnected: curves whose points are not in an order, drawn without lines.

    Raises:
        ValueError: if there is no panel or curve or there are too many, panels have different
            curves, or arrays do not fit, are not finite, or are out of their range.
    """
    require_entries("panels", panels)
    curves = tuple(next(iter(panels.values())))
    if not 1 <= len(curves) <= len(CATEGORIES):
        raise ValueError(f"1 to {len(CATEGORIES)} curves are needed, got {len(curves)}")
    fig, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 4.4), sharex=True, sharey=True, squeeze=False
    )
    for ax, (name, panel) in zip(axes[0], panels.items(), strict=True):
        require_keys(f"panels[{name!r}]", panel, curves)
        for i, label in enumerate(curves):
            where = f"panels[{name!r}][{label!r}]"
            x = checked_array(f"{where}[0]", panel[label][0], (None,))
            y = checked_array(f"{where}[1]", panel[label][1], (len(x),))
            if x.min() <= 0 or y.max() > 1:
                raise ValueError(f"{where} must have positive ratios and an index of at most 1")
            marker = MARKERS[i % len(MARKERS)]
            line = "none" if label in unconnected else "-"
            ax.plot(x, y, color=CATEGORIES[i], marker=marker, ms=6, lw=1.2, ls=line, label=label)
        ax.set(title=name, xscale="log", xlabel=xlabel, ylim=(-0.05, 1.05))
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="y")
    axes[0, 0].set_ylabel("adjusted Rand index")
    fig.legend(handles=axes[0, 0].get_legend_handles_labels()[0], loc="outside upper left", ncols=2)
    return fig
