"""Spectra through training: trajectories of eigenvalues, and densities at chosen checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogTransform
from numpy.typing import NDArray

from hdlib.curvature import Density
from hdlib.figures.axes import Scale, legend, shade, step_axis
from hdlib.figures.style import BLUE, GRID, INK, VERMILLION, WIDTH, stage_colours, style
from hdlib.figures.validation import (
    Eigenvalues,
    checked_dendrograms,
    labelled,
    require_entries,
    require_positive,
)
from hdlib.trajectory import Trajectory

LINES = 20
GREY = "#B5B5B5"
DENSITY_LINTHRESH = 1e-4
BINS_PER_DECADE = 10
# The axis has one slope on both sides of its threshold, so that the width of the bins, and with it
# their counts, does not jump there.
SMOOTH_LINSCALE = 0.9 / np.log(10)


@style()
def evolution(
    trajectory: Trajectory,
    *,
    linthresh: float = 1e-3,
    shaded: Mapping[str, tuple[float, float]] | None = None,
    xscale: Scale = "log",
) -> Figure:
    """Every eigenvalue against the training step: both ends as lines, the bulk as bands.

    The 20 largest and the 20 smallest eigenvalues are lines of constant rank (not of constant
    eigenvector); those between are shaded from their minimum to their maximum, and from their
    5 % to their 95 % quantile, with their median. Where only the ends of the spectra are known,
    quantiles are not: what is known at either end is shaded, and what lies between.

    Args:
        trajectory: the spectra, as much of each known.
        linthresh: λ below which the axis is linear.
        shaded: name → first and last step of an interval, say of a transition.
        xscale: "log" or "linear" steps.

    Raises:
        ValueError: if not as much is known at each checkpoint, ``linthresh`` ≤ 0, an interval ends
            before it begins, or for an unknown scale.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    require_positive("linthresh", linthresh)
    steps, trees = trajectory.steps, trajectory.dendrograms
    known = {(len(tree.eigenvalues), tree.lowest) for tree in trees}
    if len(known) > 1:
        raise ValueError(
            "at each checkpoint as many eigenvalues must be known at each end, as "
            f"`Trajectory.certified_ends` leaves them; got (known, lowest) of {sorted(known)}"
        )
    eigenvalues = np.stack([tree.eigenvalues for tree in trees])
    n, lowest, unresolved = eigenvalues.shape[1], trees[0].lowest, trees[0].unresolved
    if unresolved:
        bottom, top = min(LINES, lowest), min(LINES, n - lowest)
    else:
        bottom, top = min(LINES, n // 2), min(LINES, (n + 1) // 2)

    fig, ax = plt.subplots(figsize=(WIDTH, 4.6))
    step_axis(ax, steps, xscale)
    ax.set_yscale("symlog", linthresh=linthresh)
    ax.grid(axis="y")
    shade(ax, shaded or {})
    # One checkpoint has no width of its own: its bands run across the axes.
    x = steps if len(steps) > 1 else np.array(ax.get_xlim())
    if unresolved:
        _draw_unresolved_bulk(ax, x, eigenvalues[:, :lowest], eigenvalues[:, lowest:], unresolved)
    else:
        _draw_bulk(ax, x, eigenvalues[:, bottom : n - top])
    for name, block, colormap, colour in (
        (f"{top} largest", eigenvalues[:, n - top :][:, ::-1], "Blues", BLUE),
        (f"{bottom} smallest", eigenvalues[:, :bottom], "Oranges", VERMILLION),
    ):
        tones = mpl.colormaps[colormap](np.linspace(0.95, 0.5, block.shape[1]))
        for line, tone in zip(block.T, tones, strict=True):
            ax.plot(steps, line, color=tone, lw=1, marker=".", ms=3)
        if block.size:
            ax.plot([], [], color=colour, marker=".", ms=3, label=name)
    ax.set_ylabel("eigenvalue λ")
    legend(fig, ax.get_legend_handles_labels()[0][::-1])
    return fig


def _draw_bulk(ax: Axes, x: NDArray, bulk: NDArray[np.float64]) -> None:
    """Bands of eigenvalues (T, m) that are no lines, all of them known."""
    if not bulk.size:
        return
    low, q5, median, q95, high = np.quantile(bulk, [0, 0.05, 0.5, 0.95, 1], axis=1)
    label = f"the other {bulk.shape[1]}: "
    ax.fill_between(x, low, high, color=GRID, lw=0, label=label + "all")
    ax.fill_between(x, q5, q95, color=GREY, lw=0, label=label + "5–95 %")
    ax.plot(x, np.broadcast_to(median, x.shape), color=INK, lw=1.2, label=label + "median")


def _draw_unresolved_bulk(
    ax: Axes, x: NDArray, below: NDArray[np.float64], above: NDArray[np.float64], count: int
) -> None:
    """Bands of what is known at either end but no line, and of the unresolved eigenvalues."""
    if below.size and above.size:
        label = f"{count} between, not resolved"
        ax.fill_between(x, below[:, -1], above[:, 0], color=GRID, lw=0, label=label)
    others = [below[:, LINES:], above[:, :-LINES]]
    label = f"the other {sum(block.shape[1] for block in others)} known"
    for block in others:
        if block.size:
            ax.fill_between(x, block[:, 0], block[:, -1], color=GREY, lw=0, label=label)
            label = "_repeated"


@style()
def density(
    spectra: Mapping[str, Eigenvalues | Density] | Eigenvalues | Density,
) -> Figure:
    """How many eigenvalues lie where: one histogram for each spectrum, on one λ axis.

    The bins are equally wide on the axis drawn, which is linear for |λ| < 10⁻⁴ and logarithmic
    beyond, and one is centred on zero. Counts are on a logarithmic axis, so that a single outlier
    shows beside the bulk. A `Density` counts the weights of its nodes, averaged over the probes: a
    bin finer than its resolution may be empty beside one that has the eigenvalues of both.

    Args:
        spectra: label → `Density`, whole `Spectrum`, or all (n,) eigenvalues; or one of these.

    Raises:
        ValueError: if there is no spectrum, one is not a non-empty vector of finite numbers, or
            known in part.
    """
    checked = {label: _masses(label, values) for label, values in labelled(spectra).items()}
    require_entries("spectra", checked)
    ends = np.array([(points.min(), points.max()) for points, _ in checked.values()])
    transform = SymmetricalLogTransform(10, DENSITY_LINTHRESH, SMOOTH_LINSCALE)
    width = DENSITY_LINTHRESH / BINS_PER_DECADE
    low, high = np.round(transform.transform(np.array([ends.min(), ends.max()])) / width)
    edges = transform.inverted().transform((np.arange(low, high + 2) - 0.5) * width)

    rows = len(checked)
    fig, axes = plt.subplots(
        rows, 1, figsize=(WIDTH, 0.9 + 1.15 * rows), sharex=True, sharey=True, squeeze=False
    )
    panels = zip(axes[:, 0], checked.items(), stage_colours(rows), strict=True)
    for ax, (label, (points, weights)), colour in panels:
        counts, _ = np.histogram(points, edges, weights=weights)
        ax.stairs(counts, edges, fill=True, color=colour)
        ax.text(0.99, 0.95, label, transform=ax.transAxes, ha="right", va="top")
    ax = axes[-1, 0]
    ax.set_xscale("symlog", linthresh=DENSITY_LINTHRESH, linscale=SMOOTH_LINSCALE)
    powers = 10.0 ** np.arange(-3, 1 + max(-3, np.floor(np.log10(np.abs(ends).max() + 1e-300))))
    ax.set_xticks([*-powers[::-1], 0, *powers])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.6)
    ax.set_xlabel("eigenvalue λ")
    fig.supylabel("eigenvalues in a bin", fontsize=10)
    return fig


def _masses(
    label: str, spectrum: Eigenvalues | Density
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Points on the λ axis, and how many eigenvalues each stands for; None where that is one."""
    if isinstance(spectrum, Density):
        probes = len(spectrum.nodes)
        weights = np.r_[
            np.ones(len(spectrum.known)), spectrum.n / probes * spectrum.weights.ravel()
        ]
        return np.r_[spectrum.known, spectrum.nodes.ravel()], weights
    tree = checked_dendrograms({label: spectrum})[label]
    if tree.unresolved:
        raise ValueError(
            f"{tree.unresolved} of {tree.n} eigenvalues are not known: draw the `hdlib.density` of "
            "the operator"
        )
    return tree.eigenvalues, None
