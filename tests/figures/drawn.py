"""What a figure shows, read back from it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
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
