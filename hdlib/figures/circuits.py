"""Eigenvectors grouped by the outputs that they move: their eigenvalues, and what they move."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from hdlib.clustering import Circuits
from hdlib.figures.axes import colour_bar, log_axis
from hdlib.figures.style import CATEGORIES, INK, MUTED, WIDTH, style

NAMED = 32
"""Most features whose names there is room for."""
FEWEST = 6
"""Fewest eigenvalues of which a widest gap says anything."""


@style()
def circuits(found: Circuits, features: Sequence[str] | None = None) -> Figure:
    """The eigenvalues of all vectors on one axis, then by group; and what each vector moves.

    In grey all eigenvalues, in which there may be no gap to be seen; in colours those of each
    group, with the widest gap (as a ratio) among six or more as a bar. Eigenvalues that are not
    positive are left out here. Below, each vector a row, the share of its energy in each feature;
    both are sorted by group, vectors within it by eigenvalue, the largest on top.

    Args:
        found: circuits, in up to ten groups.
        features: F names; by default numbers.

    Raises:
        ValueError: if there are not as many names as features, or more groups than colours.
    """
    shares = found.energies / np.maximum(found.energies.sum(1, keepdims=True), np.finfo(float).tiny)
    names = list(map(str, range(shares.shape[1]))) if features is None else list(features)
    if len(names) != shares.shape[1]:
        raise ValueError(f"features must be {shares.shape[1]} names, got {len(names)}")
    k = found.n_groups
    if k > len(CATEGORIES):
        raise ValueError(f"there are colours for {len(CATEGORIES)} groups, got {k}")
    rows, columns = (_sorted(labels, k) for labels in (found.groups[::-1], found.feature_groups))
    rows = len(found.groups) - 1 - rows

    fig, (upper, lower) = plt.subplots(
        2, 1, figsize=(WIDTH, 1.3 + 0.3 * k + 4.0), height_ratios=[1.0 + 0.3 * k, 4.0]
    )
    _rugs(upper, found)
    image = lower.imshow(
        shares[np.ix_(rows, columns)], aspect="auto", cmap="Greys", vmin=0, interpolation="nearest"
    )
    _boxes(lower, found.groups[rows], found.feature_groups[columns])
    if len(names) <= NAMED:
        turned = {"rotation": 45, "ha": "right"} if sum(map(len, names)) > 60 else {}
        lower.set_xticks(range(len(columns)), [names[column] for column in columns], **turned)
    else:
        lower.set_xticks([])
    lower.tick_params(length=0)
    lower.set_yticks([])
    lower.spines[:].set_visible(False)
    lower.set(xlabel="features, by group", ylabel="eigenvectors, by group")
    colour_bar(fig, image, lower, "share of the vector's energy", format="{x:g}")
    return fig


def _sorted(labels: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """By group, those of none last."""
    return np.argsort(np.where(labels < 0, k, labels), kind="stable")


def _rugs(ax: Axes, found: Circuits) -> None:
    k = found.n_groups
    rows = [("all", found.eigenvalues, MUTED)]
    for group in range(k):
        values = found.spectrum(group).eigenvalues
        rows.append((f"group {group}: {len(values)}", values, CATEGORIES[group]))
    for height, (_, values, colour) in enumerate(rows):
        values = np.sort(values[values > 0])
        ax.vlines(values, height - 0.36, height + 0.36, color=colour, lw=1.1)
        if height and len(values) >= FEWEST:
            i = int(np.diff(np.log(values)).argmax())
            ax.hlines(height, values[i], values[i + 1], color=colour, lw=5, alpha=0.35)
    ax.axhline(0.5, color=INK, lw=0.6)
    log_axis(ax, "x", found.eigenvalues)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    verdict = "" if found.found else "no circuits found: "
    ax.set(
        xlabel="eigenvalue λ",
        title=f"{verdict}modularity {found.modularity:.2f}, {found.excess:+.2f} over permuted "
        f"features (95% of nulls below {found.threshold:+.2f})".replace("-", "−"),
    )


def _boxes(ax: Axes, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
    """A frame around what each group's vectors do to its features."""
    for group in range(int(rows.max()) + 1):
        of_group = [np.flatnonzero(labels == group) for labels in (columns, rows)]
        if not all(map(len, of_group)):
            continue
        (left, right), (top, bottom) = (
            (members[0] - 0.5, members[-1] + 0.5) for members in of_group
        )
        ax.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                fill=False,
                color=CATEGORIES[group],
                lw=2.2,
                clip_on=False,
            )
        )
