"""What a figure shows, read back from it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray


def xs(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_xdata())


def ys(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_ydata())


def bars(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def png(fig: Figure) -> bytes:
    buffer = BytesIO()
    fig.savefig(buffer)
    return buffer.getvalue()


def extents(ax: Axes) -> dict[str, tuple[float, float]]:
    """First and last x of each labelled patch."""
    boxes = {p.get_label(): p.get_path().get_extents(p.get_patch_transform()) for p in ax.patches}
    return {str(label): (box.x0, box.x1) for label, box in boxes.items()}


def merge_heights(ax: Axes) -> list[float]:
    """Heights of the brackets of a tree, in the order drawn."""
    (branches,) = (part for part in ax.collections if isinstance(part, LineCollection))
    return [float(segment[1, 1]) for segment in branches.get_segments()]
