"""How much a spectrum depends on the samples its Hessian is averaged over."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

from hdlib.figures.style import (
    BLUE,
    INK,
    MUTED,
    SKY,
    VERMILLION,
    WIDTH,
    stage_colours,
    style,
    wide_range_axis,
)
from hdlib.figures.tree import number
from hdlib.figures.validation import (
    checked_array,
    checked_increasing,
    checked_steps,
    require_entries,
)


@style()
def sample_sweep(
    sizes: ArrayLike, measures: Mapping[str, ArrayLike], *, steps: ArrayLike
) -> Figure:
    """Measures of a spectrum against the number of samples N in the Hessian; one curve a step.

    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        sizes: (S,) numbers of samples N, ascending.
        measures: name → (T, S) values; one panel each.
        steps: (T,) training steps, ascending.

    Raises:
        ValueError: for arrays that are not finite or do not fit.
    """
    sizes = checked_increasing("sizes", sizes)
    steps = checked_steps(steps)
    require_entries("measures", measures)
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 0.5 + 2.6 * rows), sharex=True, squeeze=False
    )
    for ax, (name, values) in zip(axes.flat, measures.items(), strict=False):
        curves = checked_array(f"measures[{name!r}]", values, (len(steps), len(sizes)))
        for step, curve, colour in zip(steps, curves, stage_colours(len(steps)), strict=True):
            ax.plot(sizes, curve, color=colour, marker="o", ms=3.5, label=f"step {step}")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(FixedLocator(sizes.tolist()))
        ax.xaxis.set_minor_formatter(NullFormatter())
        wide_range_axis(ax, curves)
        ax.set_title(name)
        ax.grid(axis="y")
        ax.set_xlabel("samples N")
    for ax in list(axes.flat)[len(measures) :]:
        ax.set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=5)
    return fig


@style()
def draws(
    values: ArrayLike, *, reference: float, quoted: float | None = None, label: str
) -> Figure:
    """A value over independent draws of samples: a histogram, and each draw as a tick below it.

    Args:
        values: (D,) the value in each draw.
        reference: the value at all samples.
        quoted: a value quoted elsewhere for one draw.
        label: what the value is, with its unit.

    Raises:
        ValueError: for values that are not finite or an empty array.
    """
    values = checked_array("values", values, (None,))
    marks = [("all samples", checked_array("reference", reference, ()), VERMILLION, "-")]
    if quoted is not None:
        marks.append(("quoted", checked_array("quoted", quoted, ()), INK, "--"))
    fig, ax = plt.subplots(figsize=(WIDTH, 3.4))
    counts, _, _ = ax.hist(values, bins="auto", color=SKY, edgecolor="white")
    height = np.max(counts)
    ax.plot(values, np.full(len(values), -0.06 * height), "|", color=BLUE, ms=9)
    for name, value, colour, dashes in marks:
        ax.axvline(float(value), color=colour, ls=dashes, label=f"{name}: {number(float(value))}")
    ax.set(xlabel=label, ylabel=f"draws (of {len(values)})")
    ax.set_yticks(MaxNLocator(integer=True).tick_values(0, height))
    ax.set_ylim(-0.13 * height, 1.05 * height)
    fig.legend(loc="outside upper left", ncols=2)
    return fig


@style()
def sample_shares(shares: Mapping[str, ArrayLike]) -> Figure:
    """Share of the largest eigenvalue that the k hardest samples carry, against k.

    The largest eigenvalue is a mean over samples of vᵀHᵢv, so a sample's share is vᵀHᵢv / (N λ).

    Args:
        shares: label → (K,) cumulative shares of the k = 1 … K hardest samples.

    Raises:
        ValueError: if there is none, or one is not a non-empty vector of finite numbers.
    """
    require_entries("shares", shares)
    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    ax.axhline(1, color=MUTED, lw=0.8)
    for (label, values), colour in zip(shares.items(), stage_colours(len(shares)), strict=True):
        share = checked_array(f"shares[{label!r}]", values, (None,))
        marker = "o" if len(share) == 1 else None
        ax.plot(np.arange(1, len(share) + 1), share, color=colour, label=label, marker=marker)
    ax.set(xscale="log", xlabel="hardest samples k", ylabel="share of the largest eigenvalue λ")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(bottom=0)
    ax.grid()
    ax.legend()
    return fig
