"""What the clusters of parameters are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.shares import checked_shares, draw_shares, group_handles, require_names
from hdlib.figures.style import WIDTH, style
from hdlib.figures.validation import checked_array, require_entries, require_keys


@style()
def cluster_composition(
    shares: Mapping[str, ArrayLike], sizes: Mapping[str, ArrayLike], names: Sequence[str]
) -> Figure:
    """How the members of each cluster divide among the layers.

    One panel an entry, say a checkpoint or a number of clusters; one stacked bar a cluster, with
    its number of members beneath.

    Args:
        shares: label → (k, L) share of each cluster's members in each layer, rows summing to 1.
        sizes: the same labels → (k,) number of members of each cluster.
        names: of the L layers, at most 10; colours follow their order.

    Raises:
        ValueError: if there is nothing to draw, labels differ, there are too many names, arrays do
            not fit, shares are negative or do not sum to 1, or sizes are not positive integers.
    """
    require_entries("shares", shares)
    require_keys("sizes", sizes, tuple(shares))
    require_names("names", names)
    rows = len(shares)
    fig, axes = plt.subplots(rows, 1, figsize=(WIDTH, 0.7 + 1.75 * rows), squeeze=False)
    for ax, (label, values) in zip(axes[:, 0], shares.items(), strict=True):
        composition = checked_shares(f"shares[{label!r}]", values, (None, len(names)))
        members = checked_array(f"sizes[{label!r}]", sizes[label], (len(composition),))
        if (members < 1).any() or (members % 1).any():
            raise ValueError(f"sizes[{label!r}] must be positive integers, got {members}")
        clusters = np.arange(len(members))
        draw_shares(ax, clusters, composition, 0.85)
        labels = [f"{size:.0f}" for size in members]
        crowded = len(labels) * max(map(len, labels)) > 70  # digits: what the width has room for
        ax.set_xticks(clusters, labels, rotation=90 if crowded else 0)
        ax.tick_params(axis="x", length=0)
        ax.set(xlim=(-0.6, len(members) - 0.4), ylim=(0, 1), yticks=(0, 0.5, 1))
        ax.set(ylabel="share", title=label)
    axes[-1, 0].set_xlabel("number of parameters in each cluster")
    fig.legend(handles=group_handles(names), loc="outside upper right", ncols=5)
    return fig
