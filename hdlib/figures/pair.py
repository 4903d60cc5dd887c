"""How eigenvalues group, and how parameters do, at one checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.dendrogram import LEAF_AXIS as EIGENVALUE_AXIS
from hdlib.figures.dendrogram import draw_tree
from hdlib.figures.fiedler import (
    HEIGHT,
    LEAF_AXIS,
    checked_groups,
    checked_tree,
    draw_fiedler_tree,
)
from hdlib.figures.shares import group_handles
from hdlib.figures.style import WIDTH, style
from hdlib.figures.tree import build_tree, eigenvalue_count, height_limits
from hdlib.figures.validation import checked_dendrograms, require_positive


@style()
def dendrogram_pair(
    eigenvalues: ArrayLike,
    linkage: ArrayLike,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    merges: int = 30,
) -> Figure:
    """The eigenvalue dendrogram (left) and the Fiedler tree (right) of one checkpoint.

    Drawn as by `hdlib.figures.dendrogram` and `hdlib.figures.fiedler_dendrograms`. They share no
    axis: the leaves are eigenvalues on the left and parameters on the right.

    Args:
        eigenvalues: (n,) of the Hessian.
        linkage: (n − 1, 4) linkage matrix of the parameters.
        groups: (n,) the group of each parameter, an index into ``names``.
        names: of the groups, at most 10; colours follow their order.
        merges: how many merges of each to draw; all where there are fewer.

    Raises:
        ValueError: for eigenvalues, a linkage or groups that are not valid or do not fit, too many
            names, or ``merges`` that is not positive.
    """
    groups = checked_groups(groups, names)
    tree = checked_tree("linkage", linkage, len(groups))
    spectrum = checked_dendrograms({"eigenvalues": eigenvalues})["eigenvalues"]
    require_positive("merges", merges)
    limits = height_limits([spectrum], merges=merges)

    fig = plt.figure(figsize=(WIDTH, 4.2))
    grid = fig.add_gridspec(2, 2, height_ratios=[12, 1])
    left = fig.add_subplot(grid[:, 0])
    draw_tree(left, build_tree(spectrum, merges=merges, floor=limits[0]), limits)
    left.tick_params(axis="x", labelsize=6.5)
    left.set(title=eigenvalue_count(spectrum), xlabel=EIGENVALUE_AXIS)
    right, strip = fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
    draw_fiedler_tree(right, strip, tree, groups, len(names), merges=merges)
    right.set(title=f"{len(groups)} parameters", ylabel=HEIGHT)
    strip.set_xlabel(LEAF_AXIS)
    fig.legend(handles=group_handles(names), loc="outside upper right", ncols=5)
    return fig
