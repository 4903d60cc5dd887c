"""What moves of the weights along eigenvectors change, frequency by frequency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from hdlib.figures.style import GRID, MUTED, WIDTH, stage_colours, style
from hdlib.figures.validation import checked_array, checked_increasing, require_entries
from hdlib.measures.functions import concentration

Moves: TypeAlias = tuple[ArrayLike, ArrayLike]


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
