"""Dendrograms of spectra, one panel for each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hdlib.figures.style import BLUE, INK, VERMILLION, WIDTH, style
from hdlib.figures.tree import Tree, build_tree, eigenvalue_count, height_limits
from hdlib.figures.validation import (
    Eigenvalues,
    checked_dendrograms,
    labelled,
    require_positive,
)

LEAF_AXIS = "clusters by ascending eigenvalue: mean λ (× members)"


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
    limits = height_limits(list(checked.values()), merges=merges)
    rows = len(checked)
    fig, axes = plt.subplots(
        rows,
        1,
        figsize=(WIDTH, 0.3 + 3.0 * rows),
        dpi=150 if rows <= 2 else 110,  # turned text makes large files
        squeeze=False,
    )
    for ax, (label, tree) in zip(axes[:, 0], checked.items(), strict=True):
        draw_tree(ax, build_tree(tree, merges=merges, floor=limits[0]), limits)
        count = eigenvalue_count(tree)
        ax.set_title(f"{label} ({count})" if label else count)
    axes[-1, 0].set_xlabel(LEAF_AXIS)
    return fig


def draw_tree(ax: Axes, tree: Tree, limits: tuple[float, float]) -> None:
    """Draw a tree on axes, with the ε axis from ``limits[0]``, its floor, to ``limits[1]``."""
    ax.set_yscale("log")
    ax.set_ylim(limits)
    ax.set_xlim(-0.8, len(tree.members) - 0.2)
    ax.grid(axis="y")
    ax.add_collection(LineCollection(list(tree.merges), colors=BLUE, linewidths=1.4))
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
    ax.tick_params(axis="x", length=0, pad=7)
    for leaf, colour in zip(several, colours, strict=True):
        ax.get_xticklabels()[leaf].set_color(colour)
    ax.set_ylabel("merge height ε")
