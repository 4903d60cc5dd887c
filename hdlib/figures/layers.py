"""Which layers the leading eigenvectors live in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.shares import checked_shares, draw_shares, require_names
from hdlib.figures.style import WIDTH, style
from hdlib.figures.tree import number
from hdlib.figures.validation import checked_array, require_entries


@style()
def layer_composition(
    compositions: Mapping[str, tuple[ArrayLike, ArrayLike]],
    layers: Sequence[str],
    *,
    parameter_share: ArrayLike,
) -> Figure:
    """How the squared weight of each leading eigenvector divides among the layers.

    One panel a checkpoint; one stacked bar an eigenvector, labelled with its eigenvalue; and on the
    left, apart, each layer's share of the parameters: what an eigenvector without any preference
    would show.

    Args:
        compositions: label → (eigenvalues (k,), composition (k, L) whose rows sum to 1).
        layers: L names, at most 10; colours follow their order.
        parameter_share: (L,) share of the parameters in each layer, summing to 1.

    Raises:
        ValueError: if there is nothing to draw, there are too many layers, arrays do not fit, or
            shares are negative or do not sum to 1.
    """
    require_entries("compositions", compositions)
    require_names("layers", layers)
    null = checked_shares("parameter_share", parameter_share, (len(layers),))
    rows = len(compositions)
    fig, axes = plt.subplots(rows, 1, figsize=(WIDTH, 0.7 + 2.3 * rows), squeeze=False)
    for ax, (label, (eigenvalues, composition)) in zip(
        axes[:, 0], compositions.items(), strict=True
    ):
        values = checked_array(f"eigenvalues of {label!r}", eigenvalues, (None,))
        shares = checked_shares(
            f"composition of {label!r}", composition, (len(values), len(layers))
        )
        draw_shares(ax, np.arange(len(values)), shares, 0.85)
        draw_shares(ax, np.array([-2.0]), null[None], 1.0)
        every = 1 if len(values) <= 30 else 2
        ticks = range(0, len(values), every)
        ax.set_xticks(
            [-2, *ticks], ["parameters", *(number(values[i]) for i in ticks)], rotation=90
        )
        ax.tick_params(axis="x", length=0)
        ax.set(
            xlim=(-2.8, len(values)), ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="share", title=label
        )
    axes[-1, 0].set_xlabel("eigenvalue λ of each eigenvector")
    handles, _ = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles[: len(layers)], layers, loc="outside upper center", ncols=5)
    return fig
