"""What moves of the weights along eigenvectors change, frequency by frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from hdlib.figures.axes import colour_bar, legend
from hdlib.figures.style import BLUE, GRID, MUTED, WIDTH, number, stage_colours, style
from hdlib.figures.validation import checked_array, checked_increasing, require_entries
from hdlib.measures.functions import concentration

Moves: TypeAlias = tuple[ArrayLike, ArrayLike]


@style()
def frequency_responses(
    eigenvalues: ArrayLike,
    responses: ArrayLike,
    random: ArrayLike,
    *,
    frequencies: Sequence[int],
) -> Figure:
    """Change of each frequency's loss along eigenvectors, beside that along random directions.

    Left and middle: heat maps of the changes, on one colour scale, linear within the range of 95 %
    of the random directions and logarithmic beyond. Right: how much of what a direction changes is
    of one frequency, max |Δ| / Σ |Δ| over its frequencies, from 1/K for all alike to 1 for one
    alone; and the median and the range of 90 % of the random directions.

    Args:
        eigenvalues: (m,) of the eigenvectors, drawn from top to bottom.
        responses: (m, K) change of the restricted loss of each frequency along each eigenvector.
        random: (r, K) the same along random directions.
        frequencies: K frequencies.

    Raises:
        ValueError: for arrays that do not fit or are not finite.
    """
    values = checked_array("eigenvalues", eigenvalues, (None,))
    responses = checked_array("responses", responses, (len(values), len(frequencies)))
    random = checked_array("random", random, (None, len(frequencies)))
    extreme = max(float(np.abs(responses).max()), float(np.abs(random).max())) or 1.0
    usual = float(np.quantile(np.abs(random), 0.95)) or extreme
    norm = SymLogNorm(min(usual, extreme), vmin=-extreme, vmax=extreme)

    fig, (left, middle, right) = plt.subplots(
        1, 3, figsize=(WIDTH, 1.4 + 0.175 * len(values)), width_ratios=(3, 3, 2)
    )
    for ax, changes, title in (
        (left, responses, "eigenvectors"),
        (middle, random, "random directions"),
    ):
        image = ax.imshow(changes, norm=norm, cmap="PuOr_r", aspect="auto")
        ax.set_xticks(range(len(frequencies)), [str(k) for k in frequencies])
        ax.set(title=title, xlabel="frequency k")
        ax.set_yticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    left.set_yticks(range(len(values)), [number(value) for value in values])
    left.set_ylabel("eigenvalue λ of each eigenvector")
    usual_shares = concentration(random)
    usual_shares = usual_shares[np.isfinite(usual_shares)]
    if usual_shares.size:
        low, median, high = np.quantile(usual_shares, [0.05, 0.5, 0.95])
        right.axvspan(low, high, color=GRID, lw=0, label="random: 90 %")
        right.axvline(median, color=MUTED, lw=1, label="random: median")
        legend(fig, right.get_legend_handles_labels()[0])
    right.plot(concentration(responses), np.arange(len(values)), "o", ms=4, color=BLUE)
    right.set(
        xlim=(0, 1.03),
        ylim=(len(values) - 0.5, -0.5),
        yticks=[],
        xlabel="max |Δ| / Σ |Δ|",
        title="concentration",
    )
    colour_bar(fig, image, [left, middle], "change of the loss", location="bottom", aspect=40)
    return fig


@style()
def dose_series(doses: ArrayLike, panels: Mapping[str, Moves]) -> Figure:
    """How concentrated on one frequency moves of the weights are, and whether they are small.

    Above, max |Δ| / Σ |Δ| over the frequencies against the dose, a line for each eigenvector;
    shaded, 90 % of the random directions. Below, the sum of |Δ| over the square of the dose,
    relative to the least dose: 1 where the change is that of the second derivative.

    Args:
        doses: (D,) moves as shares of the norm of the weights, ascending.
        panels: title → (D, m, K) changes along eigenvectors, the largest eigenvalue's first, and
            (D, r, K) along random directions.

    Raises:
        ValueError: if there is no panel, or arrays do not fit or are not finite.
    """
    doses = checked_increasing("doses", doses, least=2)
    require_entries("panels", panels)
    fig, axes = plt.subplots(
        2,
        len(panels),
        figsize=(WIDTH, 5.2),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=(3, 2),
    )
    for (above, below), (title, moves) in zip(axes.T, panels.items(), strict=True):
        changes, random = (
            checked_array(f"{name} of panels[{title!r}]", values, (len(doses), None, None))
            for name, values in zip(("changes", "random changes"), moves, strict=True)
        )
        usual = np.stack([concentration(at_dose) for at_dose in random])
        low, high = np.nanquantile(usual, [0.05, 0.95], axis=1)
        above.fill_between(doses, low, high, color=GRID, lw=0, label="random directions: 90 %")
        sizes = np.abs(changes).sum(2) / doses[:, None] ** 2
        for k, colour in enumerate(stage_colours(changes.shape[1])):
            shares = [concentration(at_dose)[k] for at_dose in changes]
            above.plot(doses, shares, color=colour, marker=".", lw=1.2, label=f"{k + 1}")
            below.plot(doses, sizes[:, k] / sizes[0, k], color=colour, marker=".", lw=1.2)
        above.set_title(title, size=10)
        above.set(xscale="log", ylim=(0, 1))
        below.set(xscale="log", yscale="log", xlabel="‖δ‖ / ‖θ‖ in %")
        below.axhline(1, color=MUTED, lw=0.8, zorder=0)
        for ax in (above, below):
            ax.set_xticks(doses, [f"{100 * dose:g}" for dose in doses])
            ax.minorticks_off()
            ax.grid(axis="y")
    axes[1, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[1, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].set_ylabel("max |Δ| / Σ |Δ|")
    axes[1, 0].set_ylabel("Σ |Δ| / dose²,\nrelative")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=7, title="eigenvector")
    return fig
