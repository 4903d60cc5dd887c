"""One look for every figure: colours and text sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler

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


def number(value: float) -> str:
    """A number in three significant digits with a real minus sign."""
    return f"{value:.3g}".replace("-", "−")
