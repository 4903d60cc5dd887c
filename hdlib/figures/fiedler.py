"""Fiedler trees of parameters, with what the parameters are beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.linkage import checked_linkage, height_axis, tree_top
from hdlib.figures.shares import group_handles, require_names
from hdlib.figures.style import BLUE, CATEGORIES, WIDTH, style
from hdlib.figures.validation import FloatArray, checked_array, require_entries, require_positive

IntArray = NDArray[np.int64]

HEIGHT = "merge height 1/λ₂"
LEAF_AXIS = "parameters in the order of the tree"


@style()
def fiedler_dendrograms(
    linkages: Mapping[str, ArrayLike],
    groups: ArrayLike,
    names: Sequence[str],
    *,
    merges: int = 200,
    columns: int = 1,
    ylabel: str = HEIGHT,
) -> Figure:
    """The highest merges of trees of parameters, and the group, say the layer, of every leaf.

    Each tree is cut just below its ``merges``-th highest merge. Along x stand all n parameters in
    the order of the tree, so that a cluster is as wide as it has members; the strip beneath has the
    colours of their groups. Every panel has its own axis of heights, logarithmic where those drawn
    span more than a factor 100. A cluster in pieces, λ₂ = 0, has no height but the inverse of the
    rounding error: lines to it leave the panel at the top.

    Args:
        linkages: label → (n − 1, 4) linkage matrix, as of `hdlib.clustering.FiedlerTree`.
        groups: (n,) the group of each parameter, an index into ``names``.
        names: of the groups, at most 10; colours follow their order.
        merges: how many merges to draw; all where there are fewer.
        columns: how many trees stand side by side.
        ylabel: what the heights are.

    Raises:
        ValueError: if there is no tree, one is not a valid, monotone linkage of n leaves, groups do
            not fit, there are too many names, ``merges`` is not positive, or the trees do not fill
            the columns evenly.
    """
    require_entries("linkages", linkages)
    groups = checked_groups(groups, names)
    trees = {
        label: checked_tree(f"linkages[{label!r}]", linkage, len(groups))
        for label, linkage in linkages.items()
    }
    require_positive("merges", merges)
    require_positive("columns", columns)
    rows, left_over = divmod(len(trees), columns)
    if left_over:
        raise ValueError(f"columns={columns}: must divide the number of trees, {len(trees)}")
    fig, axes = plt.subplots(
        2 * rows,
        columns,
        figsize=(WIDTH, 0.7 + 2.6 * rows),
        height_ratios=[12, 1] * rows,
        squeeze=False,
    )
    panels = zip(axes[::2].flat, axes[1::2].flat, strict=True)
    for (ax, strip), (label, linkage) in zip(panels, trees.items(), strict=True):
        draw_fiedler_tree(ax, strip, linkage, groups, len(names), merges=merges)
        ax.set_title(label)
    for ax in axes[::2, 0]:
        ax.set_ylabel(ylabel)
    for strip in axes[-1]:
        strip.set_xlabel(LEAF_AXIS)
    fig.legend(handles=group_handles(names), loc="outside upper right", ncols=5)
    return fig


def draw_fiedler_tree(
    ax: Axes, strip: Axes, linkage: FloatArray, groups: IntArray, count: int, *, merges: int
) -> None:
    """Draw the top of a tree on axes, and the groups of its leaves, 0 … count − 1, on a strip."""
    heights = linkage[-merges:, 2]
    # 1/λ₂ of clusters in pieces, see `hdlib.clustering.fiedler_tree`, would squeeze the others.
    whole = heights < 0.99 / (len(groups) * np.finfo(float).eps)
    low, high, scale = height_axis(heights[whole] if whole.any() else heights)
    top = tree_top(linkage, merges=merges, floor=low, spread="leaves")
    width = 1.2 if len(top.brackets) <= 50 else 0.7
    ax.set_yscale(scale)
    ax.set(xlim=(0, len(groups)), ylim=(low, high), xticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.grid(axis="y")
    ax.add_collection(
        LineCollection(list(top.brackets), colors=BLUE, linewidths=width, capstyle="projecting")
    )
    strip.imshow(
        groups[top.order][None],
        cmap=ListedColormap(CATEGORIES[:count]),
        norm=BoundaryNorm(np.arange(count + 1) - 0.5, count),
        aspect="auto",
        # A mean of two groups' colours would look like a third group.
        interpolation="nearest",
        extent=(0, len(groups), 0, 1),
    )
    strip.set(xticks=[], yticks=[])
    strip.spines[:].set_visible(False)


def checked_groups(groups: ArrayLike, names: Sequence[str]) -> IntArray:
    """The group of each parameter as int64.

    Raises:
        ValueError: unless they are a vector of indices into 1 to 10 names.
    """
    require_names("names", names)
    array = checked_array("groups", groups, (None,))
    whole = array.astype(np.int64)
    wrong = (whole != array) | (whole < 0) | (whole >= len(names))
    if wrong.any():
        where = int(np.argmax(wrong))
        raise ValueError(
            f"groups must be integers 0 to {len(names) - 1}, one of {len(names)} names, got "
            f"{array[where]:g} at index {where}"
        )
    return whole


def checked_tree(name: str, linkage: ArrayLike, n: int) -> FloatArray:
    """A linkage of n leaves.

    Raises:
        ValueError: unless it is a valid, monotone linkage matrix of so many.
    """
    checked = checked_linkage(name, linkage)
    if len(checked) != n - 1:
        raise ValueError(f"{name} must have {n - 1} rows for {n} parameters, got {len(checked)}")
    return checked
