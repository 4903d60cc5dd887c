"""The leading eigenvalues of several runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import BLUE, MUTED, PALE_YELLOW, WIDTH, shade_steps, step_axis, style
from hdlib.figures.validation import checked_array, checked_steps, require_entries

COLUMNS = 3


Leading: TypeAlias = tuple[ArrayLike, ArrayLike, int, tuple[int, int] | None]


@style()
def leading_eigenvalues(runs: Mapping[str, Leading], *, first_label: str) -> Figure:
    """Each eigenvalue over the largest, on a logarithmic axis, a panel for each run.

    Lines are of constant rank, not of constant eigenvector.

    Args:
        runs: title → training steps (T,), ascending; eigenvalues (T, K), K ≥ 2, positive, the
            largest first; how many of them are in colour, 1 … K − 1; and the first and the last
            step of a transition, shaded, or None.
        first_label: what the coloured ones are called in the legend.

    Raises:
        ValueError: if there is no run, arrays do not fit, are not finite or not positive and
            descending, or a number or a transition cannot be.
    """
    require_entries("runs", runs)
    columns = min(COLUMNS, len(runs))
    rows = ceil(len(runs) / columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 2.5 * rows + 0.4), squeeze=False, sharey=True
    )
    for ax, (title, run) in zip(axes.flat, runs.items(), strict=False):
        name = f"runs[{title!r}]"
        steps, values, count, transition = run
        steps = checked_steps(steps, name=f"steps of {name}")
        values = checked_array(f"eigenvalues of {name}", values, (len(steps), None))
        if values.min() <= 0 or (np.diff(values) > 0).any():
            raise ValueError(f"eigenvalues of {name} must be positive, the largest first")
        if not 1 <= count < values.shape[1]:
            raise ValueError(
                f"number in colour of {name} must be 1 to {values.shape[1] - 1}, got {count}"
            )
        if transition is not None:
            shade_steps(
                ax,
                transition,
                name=f"transition of {name}",
                colour=PALE_YELLOW,
                label="transition",
            )
        for rank, line in enumerate((values / values[:, :1]).T):
            leads = rank < count
            ax.plot(
                steps,
                line,
                color=BLUE if leads else MUTED,
                lw=1.2 if leads else 0.6,
                marker=".",
                ms=4 if leads else 2,
                label=first_label if leads else "the next ones",
            )
        ax.set_title(title)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(axis="y")
        step_axis(ax, steps, "linear")
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("λ / λmax")
    found = {}
    for ax in axes.flat:
        found |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    fig.legend(found.values(), found.keys(), loc="outside upper left", ncols=3)
    return fig
