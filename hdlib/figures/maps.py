"""Heat maps: of any rows and columns, over training, of couplings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.axes import checkpoint_axis, colour_bar, step_axis
from hdlib.figures.style import INK, PAPER, VERMILLION, WIDTH, style
from hdlib.figures.validation import (
    FloatArray,
    checked_array,
    checked_increasing,
    checked_steps,
    labelled,
    require_entries,
)
from hdlib.trajectory import Trajectory


@style()
def heat_map(
    panels: Mapping[str, ArrayLike] | ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    label: str,
    norm: Normalize | None = None,
    cmap: str = "viridis",
    cells: Sequence[Sequence[str]] | None = None,
    row_label: str = "",
    column_label: str = "",
) -> Figure:
    """Numbers as colours, in rows and columns that have names; panels of one scale side by side.

    Args:
        panels: title → (R, C) numbers, the first row on top; or one array.
        rows: R names.
        columns: C names.
        label: what the numbers are.
        norm: from numbers to colours; by default linear from the least to the largest. Beneath
            its least number the first colour is used.
        cmap: name of a matplotlib colour map: "viridis", or "PuOr_r" where there is a middle.
        cells: (R, C) texts to write into the cells.
        row_label: what the rows are.
        column_label: what the columns are.

    Raises:
        ValueError: if there is no panel, or numbers are not finite or do not fit the names.
    """
    shape = len(rows), len(columns)
    checked = {
        title: checked_array(f"panels[{title!r}]" if title else "values", values, shape)
        for title, values in labelled(panels).items()
    }
    require_entries("panels", checked)
    if cells is not None and np.shape(cells) != shape:
        raise ValueError(f"cells must have shape {shape}, got {np.shape(cells)}")
    least = min(float(values.min()) for values in checked.values())
    norm = norm or Normalize(least, max(float(values.max()) for values in checked.values()))
    colours = mpl.colormaps[cmap]
    colours = colours.with_extremes(bad=colours(0.0))

    fig, axes = plt.subplots(
        1,
        len(checked),
        figsize=(WIDTH, 1.4 + (0.175 if cells is None else 0.42) * len(rows)),
        sharey=True,
        squeeze=False,
    )
    letters = len(checked) * (sum(map(len, columns)) + 2 * len(columns))
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if letters > 80 else {}
    image = None
    for ax, (title, values) in zip(axes[0], checked.items(), strict=True):
        image = ax.imshow(values, norm=norm, cmap=colours, aspect="auto")
        if cells is not None:
            write_cells(ax, image, cells)
        ax.set_xticks(range(len(columns)), columns, **turned)
        ax.set_yticks(range(len(rows)), rows)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(title=title, xlabel=column_label)
    axes[0, 0].set_ylabel(row_label)
    if image is not None:
        beyond = "neither" if norm.vmin is None or least >= norm.vmin else "min"
        colour_bar(fig, image, axes[0].tolist(), label, extend=beyond, format="{x:g}")
    return fig


def write_cells(ax: Axes, image: AxesImage, cells: Sequence[Sequence[str]]) -> None:
    """Texts into the cells of an image, bold in the upper half of its scale."""
    values = np.asarray(image.get_array())
    luminances = image.to_rgba(values)[..., :3] @ (0.3, 0.59, 0.11)
    upper = np.asarray(image.norm(values)) > 0.5
    for row, column in np.ndindex(values.shape):
        ax.text(
            column,
            row,
            str(cells[row][column]),
            ha="center",
            va="center",
            size=8,
            color=PAPER if luminances[row, column] < 0.58 else INK,
            weight="bold" if upper[row, column] else "normal",
        )


@style()
def step_map(
    steps: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    *,
    ylabel: str,
    label: str,
    even: bool = False,
    marked: Sequence[float] = (),
) -> Figure:
    """Positive numbers over training as colours on a logarithmic scale: a column a checkpoint.

    Zero has the first colour. A cell reaches half-way to the next ones.

    Args:
        steps: (T,) training steps, ascending.
        y: (Y,) where the rows are, ascending, Y ≥ 2: an axis of numbers if they are evenly spaced,
            else, positive, a logarithmic one.
        values: (T, Y) not negative, not all zero.
        ylabel: what y is.
        label: what the values are.
        even: whether checkpoints are equally far apart, so that the early ones can be seen.
        marked: some of y, marked on the right.

    Raises:
        ValueError: for arrays that do not fit or are not finite, values that are negative or all
            zero, or marks that are not different ones of y.
    """
    steps = checked_steps(steps)
    y = checked_array("y", y, (None,))
    values = checked_array("values", values, (len(steps), len(y)))
    if values.min() < 0 or not values.any():
        raise ValueError(f"values must be ≥ 0 and not all zero, got a minimum of {values.min():g}")
    marks = sorted(marked)
    if len(set(marks)) < len(marks) or not set(marks) <= set(y.tolist()):
        raise ValueError(f"marked must be different ones of y, got {marks}")
    linear = len(y) > 1 and np.allclose(np.diff(y), y[1] - y[0])
    if not linear:
        checked_increasing("y", y, least=2)
    rows = _edges(y) if linear else np.exp(_edges(np.log(y)))
    x = _edges(np.arange(len(steps)) if even else steps)
    if not even and len(steps) > 1:
        x[[0, -1]] = steps[[0, -1]]
    least, most = values[values > 0].min(), values.max()

    fig, ax = plt.subplots(figsize=(WIDTH, 4.5))
    colours = mpl.colormaps["viridis"]
    mesh = ax.pcolormesh(
        x,
        rows,
        values.T,
        norm=LogNorm(least, max(most, 2 * least)),
        cmap=colours.with_extremes(bad=colours(0.0)),
        rasterized=True,
    )
    if even:
        checkpoint_axis(ax, steps)
    else:
        step_axis(ax, steps, "linear")
        ax.set_xlim(x[0], x[-1])
    ax.set(yscale="linear" if linear else "log", ylabel=ylabel)
    ax.set_ylim(rows[0], rows[-1])
    _mark(ax, marks)
    colour_bar(fig, mesh, ax, label, format="{x:g}")
    return fig


def _edges(middles: NDArray) -> FloatArray:
    """Ends of cells half-way between their middles; a single one is as wide as 1."""
    if len(middles) < 2:
        return middles[0] + np.array([-0.5, 0.5])
    between = (middles[1:] + middles[:-1]) / 2
    return np.r_[2 * middles[0] - between[0], between, 2 * middles[-1] - between[-1]]


def _mark(ax: Axes, marks: Sequence[float]) -> None:
    """Triangles on the right, with their numbers moved apart where these are close."""
    right = ax.get_yaxis_transform()
    ax.plot(np.ones(len(marks)), marks, "<", color=VERMILLION, transform=right, clip_on=False)
    lowest = -np.inf
    for mark in marks:
        _, height = (ax.transScale + ax.transLimits).transform((1.0, mark))
        lowest = max(height, lowest + 0.04)
        ax.text(1.02, lowest, f"{mark:g}", transform=ax.transAxes, color=VERMILLION, va="center")


def cluster_count_map(trajectory: Trajectory, resolutions: ArrayLike) -> Figure:
    """Heat map of n(ε), the number of clusters at resolution ε, over the checkpoints.

    Checkpoints are equally far apart, so that the early ones can be seen.

    Args:
        trajectory: the spectra.
        resolutions: (R,) resolutions ε, positive and ascending, R ≥ 2, as of
            `Trajectory.resolutions`.

    Raises:
        ValueError: for resolutions that are not.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    eps = checked_increasing("resolutions", resolutions, least=2)
    counts = trajectory.cluster_counts(eps)
    return step_map(
        trajectory.steps, eps, counts, ylabel="resolution ε", label="clusters n(ε)", even=True
    )


@style()
def overlap_map(steps: ArrayLike, overlaps: ArrayLike) -> Figure:
    """Overlap of the leading eigenspaces of every two checkpoints: 0 orthogonal, 1 the same.

    Args:
        steps: (T,) training steps, ascending.
        overlaps: (T, T) in [0, 1], as of `Trajectory.overlaps`.

    Raises:
        ValueError: for another shape or numbers outside [0, 1].
    """
    steps = checked_steps(steps)
    overlaps = checked_array("overlaps", overlaps, (len(steps), len(steps)))
    if overlaps.min() < -1e-6 or overlaps.max() > 1 + 1e-6:
        low, high = overlaps.min(), overlaps.max()
        raise ValueError(f"overlaps must lie in [0, 1], got {low:g} to {high:g}")
    fig, ax = plt.subplots(figsize=(0.75 * WIDTH, 0.62 * WIDTH))
    image = ax.imshow(overlaps, origin="lower", cmap="viridis", vmin=0, vmax=1)
    ax.spines[:].set_visible(False)
    checkpoint_axis(ax, steps, "x")
    checkpoint_axis(ax, steps, "y")
    colour_bar(fig, image, ax, "overlap")
    return fig
