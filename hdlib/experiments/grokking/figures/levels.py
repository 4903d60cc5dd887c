"""Leading eigenvalues as levels, each with the frequency that its eigenvector moves."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, MUTED, WIDTH, style
from hdlib.figures.validation import require_entries

HALF = 0.3
"""Half of a level's width, where networks are 1 apart."""


@style()
def levels(networks: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """A column of levels for each network: λ/λmax, on a logarithmic axis.

    A level is in colour where the eigenvector moves the function mostly at one frequency, which is
    written beside the first of neighbours that share it, left and right in turn. Colours are given
    from the top down: they mean no more than that two levels of a column have the same frequency.

    Args:
        networks: name → leading eigenvalues (m,), descending and positive, and the frequency of
            each, (m,), 0 where there is none.

    Raises:
        ValueError: if there is no network, or lengths differ.
    """
    require_entries("networks", networks)
    fig, ax = plt.subplots(figsize=(WIDTH, 5.2))
    for at, (name, (eigenvalues, frequencies)) in enumerate(networks.items()):
        heights = np.asarray(eigenvalues) / np.max(eigenvalues)
        groups = np.asarray(frequencies).tolist()
        if heights.shape != (len(groups),):
            raise ValueError(f"{name}: eigenvalues {heights.shape}, {len(groups)} frequencies")
        found = [k for k in dict.fromkeys(groups) if k]
        above, labels = 0, 0
        for height, k in zip(heights, groups, strict=True):
            colour = CATEGORIES[found.index(k) % len(CATEGORIES)] if k else MUTED
            ax.hlines(height, at - HALF, at + HALF, colors=colour, linewidths=1.8 if k else 0.7)
            if k and k != above:
                side = 1 if labels % 2 else -1
                ax.annotate(
                    str(k),
                    (at + side * HALF, height),
                    (2 * side, 0),
                    textcoords="offset points",
                    ha="left" if side > 0 else "right",
                    va="center",
                    fontsize=7,
                )
                labels += 1
            above = k
    ax.set_yscale("log")
    ax.set_ylabel("λ / λmax")
    ax.set_xticks(range(len(networks)), list(networks))
    ax.set_xlim(-0.6, len(networks) - 0.4)
    return fig
