"""Frequencies: those of the embedding through training, and those that eigenvectors lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.style import VERMILLION, WIDTH, step_axis, style
from hdlib.figures.tree import number
from hdlib.figures.validation import checked_array, checked_steps, require_entries

LEAST_RANGE = 10.0


@style()
def embedding_spectrum(
    steps: ArrayLike, power: ArrayLike, *, key_frequencies: Sequence[int] = ()
) -> Figure:
    """Heat map of the power of each frequency of the embedding, against the training step.

    Colours are logarithmic. A checkpoint's column reaches half-way to the next ones.

    Args:
        steps: (T,) training steps, ascending.
        power: (T, F) of the frequencies 1 … F, not negative, not all zero.
        key_frequencies: marked on the right.

    Raises:
        ValueError: for arrays that do not fit or are not finite, negative power, or key frequencies
            that are not different ones of 1 … F.
    """
    steps = checked_steps(steps)
    power = checked_array("power", power, (len(steps), None))
    if power.min() < 0 or not power.any():
        raise ValueError(f"power must be ≥ 0 and not all zero, got a minimum of {power.min():g}")
    count = power.shape[1]
    keys = sorted(key_frequencies)
    if len(set(keys)) < len(keys) or not set(keys) <= set(range(1, count + 1)):
        raise ValueError(f"key_frequencies must be different ones of 1 to {count}, got {keys}")
    if len(steps) > 1:
        edges = np.concatenate((steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]))
    else:
        edges = steps[0] + np.array([-0.5, 0.5])

    fig, ax = plt.subplots(figsize=(WIDTH, 4.8))
    colormap = mpl.colormaps["viridis"]
    mesh = ax.pcolormesh(
        edges,
        np.arange(count + 1) + 0.5,
        power.T,
        norm=LogNorm(power[power > 0].min(), power.max()),
        cmap=colormap.with_extremes(bad=colormap(0.0)),
        rasterized=True,
    )
    step_axis(ax, steps, "linear")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylabel("frequency k")
    _mark(ax, keys, count)
    bar = fig.colorbar(mesh, label="power of the embedding", pad=0.02)
    bar.outline.set_visible(False)
    return fig


@style()
def frequency_overlap(
    eigenvalues: ArrayLike,
    weights: Mapping[str, tuple[ArrayLike, ArrayLike]],
    columns: Sequence[str],
) -> Figure:
    """Heat maps of eigenvectors' weight in subspaces, over that of a random direction.

    Colours are logarithmic and centred on 1, which is chance: a random unit vector has on average
    the weight dim S / P in a subspace S. They cover the largest ratio and its inverse; a weight
    below that has the last colour.

    Args:
        eigenvalues: (m,) of the rows, drawn from top to bottom.
        weights: label of a panel → (weights (m, C), expected weights of a random direction (C,));
            the squared norm of each eigenvector's projection on each subspace.
        columns: C names of the subspaces, say frequencies.

    Raises:
        ValueError: if there is no panel, arrays do not fit or are not finite, weights are negative
            or all zero, or an expected weight is not positive.
    """
    values = checked_array("eigenvalues", eigenvalues, (None,))
    require_entries("weights", weights)
    ratios = {}
    for label, (weight, expected) in weights.items():
        chance = checked_array(f"expected weights of {label!r}", expected, (len(columns),))
        if chance.min() <= 0:
            raise ValueError(f"expected weights of {label!r} must be positive, got {chance.min()}")
        weight = checked_array(f"weights of {label!r}", weight, (len(values), len(columns)))
        if weight.min() < 0:
            raise ValueError(f"weights of {label!r} must not be negative, got {weight.min():g}")
        ratios[label] = weight / chance
    extreme = max(LEAST_RANGE, *(float(ratio.max()) for ratio in ratios.values()))
    least = min(float(ratio.min()) for ratio in ratios.values())

    fig, axes = plt.subplots(
        1,
        len(ratios),
        figsize=(WIDTH, 1.2 + 0.175 * len(values)),
        sharey=True,
        squeeze=False,
    )
    colormap = mpl.colormaps["PuOr_r"]
    image = None
    for ax, (label, ratio) in zip(axes[0], ratios.items(), strict=True):
        image = ax.imshow(
            ratio,
            norm=LogNorm(1 / extreme, extreme),
            cmap=colormap.with_extremes(bad=colormap(0.0)),
            aspect="auto",
        )
        direction_rows(ax, values)
        ax.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > 8 else 0)
        ax.set_title(label)
    axes[0, 0].set_ylabel("eigenvalue λ of each eigenvector")
    if image is not None:
        bar = fig.colorbar(
            image,
            ax=axes,
            label="weight over that of a random direction",
            extend="min" if least < 1 / extreme else "neither",
            format="{x:g}",
            pad=0.02,
        )
        bar.outline.set_visible(False)
    return fig


def direction_rows(ax: Axes, eigenvalues: NDArray[np.float64]) -> None:
    """Label the rows of an image by eigenvalues."""
    ax.set_yticks(range(len(eigenvalues)), [number(value) for value in eigenvalues])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _mark(ax: Axes, keys: Sequence[int], count: int) -> None:
    """Triangles on the right at the key frequencies, with labels moved apart where close."""
    ax.plot(
        np.ones(len(keys)),
        keys,
        "<",
        color=VERMILLION,
        transform=ax.get_yaxis_transform(),
        clip_on=False,
    )
    apart = count * 0.04
    lowest = -np.inf
    for key in keys:
        lowest = max(key, lowest + apart)
        ax.text(
            1.02,
            lowest,
            str(key),
            transform=ax.get_yaxis_transform(),
            color=VERMILLION,
            va="center",
        )
