"""Spectra through training: trajectories of eigenvalues, and densities at chosen checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.scale import SymmetricalLogTransform
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    GRID,
    INK,
    VERMILLION,
    WIDTH,
    stage_colours,
    step_axis,
    style,
)
from hdlib.figures.validation import checked_spectra, checked_trajectory, require_positive

DENSITY_LINTHRESH = 1e-4
BINS_PER_DECADE = 10
# The axis has one slope on both sides of its threshold, so that the width of the bins, and with it
# their counts, does not jump there.
SMOOTH_LINSCALE = 0.9 / np.log(10)


@style()
def spectrum_evolution(
    steps: ArrayLike, eigenvalues: ArrayLike, *, linthresh: float = 1e-3
) -> Figure:
    """Every eigenvalue against the training step: both ends as lines, the bulk as bands.

    The 20 largest and the 20 smallest eigenvalues are lines of constant rank (not of constant
    eigenvector); those between are shaded from their minimum to their maximum, and from their
    5 % to their 95 % quantile, with their median.

    Args:
        steps: (T,) training steps, ascending.
        eigenvalues: (T, n) spectrum at each step.
        linthresh: λ below which the axis is linear.

    Raises:
        ValueError: for arrays that are not finite or do not fit, or ``linthresh`` ≤ 0.
    """
    steps, eigenvalues = checked_trajectory(steps, eigenvalues)
    require_positive("linthresh", linthresh)
    n = eigenvalues.shape[1]
    bottom, top = min(20, n // 2), min(20, (n + 1) // 2)
    bulk = eigenvalues[:, bottom : n - top]

    fig, ax = plt.subplots(figsize=(WIDTH, 4.6))
    step_axis(ax, steps)
    ax.set_yscale("symlog", linthresh=linthresh)
    ax.grid(axis="y")
    if bulk.size:
        low, q5, median, q95, high = np.quantile(bulk, [0, 0.05, 0.5, 0.95, 1], axis=1)
        # One checkpoint has no width of its own: its bands run across the axes.
        x = steps if len(steps) > 1 else np.array(ax.get_xlim())
        label = f"the other {bulk.shape[1]}: "
        ax.fill_between(x, low, high, color=GRID, lw=0, label=label + "all")
        ax.fill_between(x, q5, q95, color="#B5B5B5", lw=0, label=label + "5–95 %")
        ax.plot(x, np.broadcast_to(median, x.shape), color=INK, lw=1.2, label=label + "median")
    for name, block, colormap, colour in (
        (f"{top} largest", eigenvalues[:, n - top :][:, ::-1], "Blues", BLUE),
        (f"{bottom} smallest", eigenvalues[:, :bottom], "Oranges", VERMILLION),
    ):
        shades = mpl.colormaps[colormap](np.linspace(0.95, 0.5, block.shape[1]))
        for line, shade in zip(block.T, shades, strict=True):
            ax.plot(steps, line, color=shade, lw=1, marker=".", ms=3)
        ax.plot([], [], color=colour, marker=".", ms=3, label=name)
    ax.set_ylabel("eigenvalue λ")
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=3)
    return fig


@style()
def spectral_density(spectra: Mapping[str, ArrayLike]) -> Figure:
    """How many eigenvalues lie where: one histogram for each checkpoint, on one λ axis.

    The bins are equally wide on the axis drawn, which is linear for |λ| < 10⁻⁴ and logarithmic
    beyond, and one is centred on zero. Counts are on a logarithmic axis, so that a single outlier
    shows beside the bulk.

    Args:
        spectra: label → (n,) eigenvalues.

    Raises:
        ValueError: if there is no spectrum, or one is not a non-empty vector of finite numbers.
    """
    checked = checked_spectra(spectra)
    ends = np.array([values[[0, -1]] for values in checked.values()])
    transform = SymmetricalLogTransform(10, DENSITY_LINTHRESH, SMOOTH_LINSCALE)
    width = DENSITY_LINTHRESH / BINS_PER_DECADE
    low, high = np.round(transform.transform(np.array([ends.min(), ends.max()])) / width)
    edges = transform.inverted().transform((np.arange(low, high + 2) - 0.5) * width)

    rows = len(checked)
    fig, axes = plt.subplots(
        rows, 1, figsize=(WIDTH, 0.9 + 1.15 * rows), sharex=True, sharey=True, squeeze=False
    )
    panels = zip(axes[:, 0], checked.items(), stage_colours(rows), strict=True)
    for ax, (label, values), colour in panels:
        counts, _ = np.histogram(values, edges)
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
