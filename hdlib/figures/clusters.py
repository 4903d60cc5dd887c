"""Numbers of clusters over resolutions, and the gaps that make them, through training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.clustering import Dendrogram
from hdlib.curvature import Spectrum
from hdlib.figures.style import (
    GRID,
    INK,
    MUTED,
    WIDTH,
    checkpoint_axis,
    stage_colours,
    style,
)
from hdlib.figures.tree import largest_gaps
from hdlib.figures.validation import (
    checked_array,
    checked_increasing,
    checked_steps,
    checked_trajectory,
    require_entries,
    require_positive,
)


@style()
def cluster_count_map(steps: ArrayLike, eps: ArrayLike, counts: ArrayLike) -> Figure:
    """Heat map of n(ε), the number of clusters at resolution ε, over the checkpoints.

    Checkpoints are equally far apart, so that the early ones can be seen.

    Args:
        steps: (T,) training steps, ascending.
        eps: (E,) resolutions ε, positive and increasing, E ≥ 2.
        counts: (T, E) numbers of clusters, at least 1.

    Raises:
        ValueError: for arrays that do not fit, or values out of these ranges.
    """
    steps = checked_steps(steps)
    eps = checked_increasing("eps", eps, least=2)
    counts = checked_counts("counts", counts, (len(steps), len(eps)))
    middles = np.sqrt(eps[1:] * eps[:-1])
    edges = np.concatenate(([eps[0] ** 2 / middles[0]], middles, [eps[-1] ** 2 / middles[-1]]))

    fig, ax = plt.subplots(figsize=(WIDTH, 4.2))
    mesh = ax.pcolormesh(
        np.arange(len(steps) + 1) - 0.5,
        edges,
        counts.T,
        norm=LogNorm(1, max(2, counts.max())),
        cmap="viridis",
        rasterized=True,
    )
    ax.set_yscale("log")
    checkpoint_axis(ax, steps)
    ax.set_ylabel("resolution ε")
    bar = fig.colorbar(mesh, label="clusters n(ε)", format="{x:g}", pad=0.02)
    bar.outline.set_visible(False)
    return fig


@style()
def cluster_count_curves(eps: ArrayLike, curves: Mapping[str, ArrayLike]) -> Figure:
    """Curves of n(ε), the number of clusters at resolution ε, on two logarithmic axes.

    Args:
        eps: (E,) resolutions ε, positive and increasing.
        curves: label → (E,) numbers of clusters, at least 1; in the order of training.

    Raises:
        ValueError: for arrays that do not fit, or values out of these ranges.
    """
    eps = checked_increasing("eps", eps)
    require_entries("curves", curves)
    fig, ax = plt.subplots(figsize=(WIDTH, 4.2))
    ax.grid()
    for (label, values), colour in zip(curves.items(), stage_colours(len(curves)), strict=True):
        counts = checked_counts(f"curves[{label!r}]", values, (len(eps),))
        ax.plot(eps, counts, color=colour, label=label, marker="o" if len(eps) == 1 else None)
    ax.set(xscale="log", yscale="log", xlabel="resolution ε", ylabel="clusters n(ε)")
    ax.legend()
    return fig


@style()
def gap_barcode(
    steps: ArrayLike,
    spectra: ArrayLike | Sequence[Spectrum | Dendrogram],
    *,
    k: int = 15,
    linthresh: float = 1e-2,
) -> Figure:
    """The k largest gaps of each spectrum: bars from the eigenvalue below to the one above.

    The λ axis is linear for |λ| < ``linthresh`` and logarithmic beyond, so the length of a bar is
    not its gap: its colour is. Checkpoints are equally far apart. Where spectra are known in part,
    a pale bar goes across the eigenvalues between, which is no gap.

    Args:
        steps: (T,) training steps, ascending.
        spectra: at each step: `Spectrum` or `Dendrogram`, as much of each known, or an array
            (T, n) of all eigenvalues.
        k: how many gaps; all that are not zero where there are fewer.
        linthresh: |λ| below which the axis is linear.

    Raises:
        ValueError: for spectra that are not finite or do not fit, ``k`` or ``linthresh`` not
            positive, or spectra without any gap.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    steps, trees = checked_trajectory(steps, spectra)
    require_positive("k", k)
    require_positive("linthresh", linthresh)
    bars = [
        (checkpoint, tree.eigenvalues[gap], tree.heights[gap])
        for checkpoint, tree in enumerate(trees)
        for gap in largest_gaps(tree.heights, k)
    ]
    if not bars:
        raise ValueError("eigenvalues must differ at one checkpoint at least, got none that do")
    x, lower, size = np.array(bars).T

    fig, ax = plt.subplots(figsize=(WIDTH, 4.4))
    norm, colormap = LogNorm(size.min(), size.max()), mpl.colormaps["viridis"]
    ax.bar(
        x, size, bottom=lower, width=0.8, color=colormap(norm(size)), edgecolor=INK, linewidth=0.5
    )
    first = trees[0]
    if first.unresolved and 0 < first.lowest < len(first.eigenvalues):
        below, above = np.array(
            [tree.eigenvalues[[tree.lowest - 1, tree.lowest]] for tree in trees]
        ).T
        label = f"{first.unresolved} eigenvalues not resolved"
        ax.bar(range(len(steps)), above - below, bottom=below, width=1, color=GRID, label=label)
        fig.legend(loc="outside upper left")
    ax.axhline(0, color=MUTED, lw=0.8)
    ax.set_yscale("symlog", linthresh=linthresh)
    ax.use_sticky_edges = False
    ax.set_xlim(-0.6, len(steps) - 0.4)
    checkpoint_axis(ax, steps)
    ax.set_ylabel("eigenvalue λ")
    bar = fig.colorbar(
        ScalarMappable(norm, colormap), ax=ax, label="gap between neighbouring λ", pad=0.02
    )
    bar.outline.set_visible(False)
    return fig


def checked_counts(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of clusters, at least 1."""
    counts = checked_array(name, values, shape)
    if counts.min() < 1:
        raise ValueError(f"{name} must be at least 1, got {counts.min():g}")
    return counts
