"""Dendrograms: of eigenvalues, of parameters with what they are beneath, and of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.clustering import Dendrogram
from hdlib.figures.axes import legend
from hdlib.figures.bars import part_handles, require_names
from hdlib.figures.style import BLUE, CATEGORIES, INK, VERMILLION, WIDTH, style
from hdlib.figures.tree import (
    EigenvalueTree,
    checked_linkage,
    eigenvalue_tree,
    gap_limits,
    height_axis,
    tree_top,
)
from hdlib.figures.validation import (
    Eigenvalues,
    FloatArray,
    IntArray,
    checked_dendrograms,
    checked_indices,
    labelled,
    require_entries,
    require_positive,
)

EIGENVALUE_AXIS = "clusters by ascending eigenvalue: mean λ (× members)"
PARAMETER_AXIS = "parameters in the order of the tree"
HEIGHT = "merge height 1/λ₂"


@style()
def dendrogram(spectra: Mapping[str, Eigenvalues] | Eigenvalues, *, merges: int = 30) -> Figure:
    """Single-linkage dendrograms of spectra: the largest gaps as a tree.

    The leaves are the clusters that remain when each tree is cut just below its ``merges``-th
    largest gap, in ascending order of eigenvalue. The heights are gaps ε on a logarithmic axis
    shared by all panels. A diamond stands under every leaf with several members, and the one
    with most members is vermillion. Where a spectrum is known in part, the eigenvalues that are not
    known are members of one leaf, labelled "bulk".

    Args:
        spectra: label → `Spectrum`, `Dendrogram`, or all (n,) eigenvalues; or one of these.
        merges: how many merges to draw; all that are not at ε = 0 where there are fewer.

    Raises:
        ValueError: if there is no spectrum, an array is not a non-empty vector of finite numbers,
            or ``merges`` is not positive.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    checked = checked_dendrograms(labelled(spectra))
    require_positive("merges", merges)
    limits = gap_limits(list(checked.values()), merges=merges)
    rows = len(checked)
    fig, axes = plt.subplots(
        rows,
        1,
        figsize=(WIDTH, 0.3 + 3.0 * rows),
        dpi=150 if rows <= 2 else 110,  # turned text makes large files
        squeeze=False,
    )
    for ax, (label, tree) in zip(axes[:, 0], checked.items(), strict=True):
        draw_eigenvalues(ax, eigenvalue_tree(tree, merges=merges, floor=limits[0]), limits)
        count = eigenvalue_count(tree)
        ax.set_title(f"{label} ({count})" if label else count)
    axes[-1, 0].set_xlabel(EIGENVALUE_AXIS)
    return fig


@style()
def parameter_dendrogram(
    linkages: Mapping[str, ArrayLike] | ArrayLike,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    merges: int = 200,
    columns: int = 1,
) -> Figure:
    """The highest merges of trees of parameters, and the group, say the layer, of every leaf.

    Each tree is cut just below its ``merges``-th highest merge. Along x stand all n parameters in
    the order of the tree, so that a cluster is as wide as it has members; the strip beneath has the
    colours of their groups. Every panel has its own axis of heights, logarithmic where those drawn
    span more than a factor 100. A cluster in pieces, λ₂ = 0, has no height but the inverse of the
    rounding error: lines to it leave the panel at the top.

    Args:
        linkages: label → (n − 1, 4) linkage matrix, as of `hdlib.clustering.FiedlerTree`; or one.
        groups: (n,) the group of each parameter, an index into ``names``.
        names: of the groups, at most 10; colours follow their order.
        merges: how many merges to draw; all where there are fewer.
        columns: how many trees stand side by side.

    Raises:
        ValueError: if there is no tree, one is not a valid, monotone linkage of n leaves, groups do
            not fit, there are too many names, ``merges`` is not positive, or the trees do not fill
            the columns evenly.
    """
    linkages = labelled(linkages)
    require_entries("linkages", linkages)
    require_names("names", names)
    groups = checked_indices("groups", groups, (None,), count=len(names))
    trees = {
        label: checked_linkage(f"linkages[{label!r}]", linkage, len(groups))
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
        _draw_parameters(ax, strip, linkage, groups, len(names), merges=merges)
        ax.set_title(label)
    for ax in axes[::2, 0]:
        ax.set_ylabel(HEIGHT)
    for strip in axes[-1]:
        strip.set_xlabel(PARAMETER_AXIS)
    legend(fig, part_handles(names))
    return fig


@style()
def dendrogram_pair(
    spectrum: Eigenvalues,
    linkage: ArrayLike,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    merges: int = 30,
) -> Figure:
    """The eigenvalue dendrogram (left) and the tree of the parameters (right) of one checkpoint.

    Drawn as by `dendrogram` and `parameter_dendrogram`. They share no axis: the leaves are
    eigenvalues on the left and parameters on the right.

    Args:
        spectrum: `Spectrum`, `Dendrogram`, or all (n,) eigenvalues of the Hessian.
        linkage: (n − 1, 4) linkage matrix of the parameters.
        groups: (n,) the group of each parameter, an index into ``names``.
        names: of the groups, at most 10; colours follow their order.
        merges: how many merges of each to draw; all where there are fewer.

    Raises:
        ValueError: for eigenvalues, a linkage or groups that are not valid or do not fit, too many
            names, or ``merges`` that is not positive.
        ConvergenceError: if pairs of the spectrum are not certified.
    """
    require_names("names", names)
    groups = checked_indices("groups", groups, (None,), count=len(names))
    tree = checked_linkage("linkage", linkage, len(groups))
    (dendro,) = checked_dendrograms({"": spectrum}).values()
    require_positive("merges", merges)
    limits = gap_limits([dendro], merges=merges)

    fig = plt.figure(figsize=(WIDTH, 4.2))
    grid = fig.add_gridspec(2, 2, height_ratios=[12, 1])
    left = fig.add_subplot(grid[:, 0])
    draw_eigenvalues(left, eigenvalue_tree(dendro, merges=merges, floor=limits[0]), limits)
    left.tick_params(axis="x", labelsize=6.5)
    left.set(title=eigenvalue_count(dendro), xlabel=EIGENVALUE_AXIS)
    right, strip = fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
    _draw_parameters(right, strip, tree, groups, len(names), merges=merges)
    right.set(title=f"{len(groups)} parameters", ylabel=HEIGHT)
    strip.set_xlabel(PARAMETER_AXIS)
    legend(fig, part_handles(names))
    return fig


def draw_eigenvalues(ax: Axes, tree: EigenvalueTree, limits: tuple[float, float]) -> None:
    """Draw a tree on axes, with the ε axis from ``limits[0]``, its floor, to ``limits[1]``."""
    ax.set_yscale("log")
    ax.set_ylim(limits)
    ax.set_xlim(-0.8, len(tree.members) - 0.2)
    ax.grid(axis="y")
    ax.add_collection(LineCollection(list(tree.brackets), colors=BLUE, linewidths=1.4))
    several = np.flatnonzero(tree.members > 1)
    colours = [VERMILLION if leaf == tree.largest else INK for leaf in several]
    ax.scatter(
        several,
        np.full(len(several), limits[0]),
        s=[90 if leaf == tree.largest else 25 for leaf in several],
        c=colours,
        marker="D",
        clip_on=False,
        zorder=3,
    )
    ax.set_xticks(range(len(tree.members)), tree.labels, rotation=90)
    ax.tick_params(axis="x", length=0, pad=10)
    for leaf, colour in zip(several, colours, strict=True):
        ax.get_xticklabels()[leaf].set_color(colour)
    ax.set_ylabel("merge height ε")


def eigenvalue_count(tree: Dendrogram) -> str:
    """How many eigenvalues there are, and how many of them are known."""
    if not tree.unresolved:
        return f"{tree.n:,} eigenvalues"
    return f"{len(tree.eigenvalues):,} of {tree.n:,} eigenvalues known"


def _draw_parameters(
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
