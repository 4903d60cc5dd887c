"""Where the lines of a dendrogram go: geometry, without any drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Dendrogram

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """The top of a single-linkage dendrogram: M merges above M + 1 leaves at x = 0 … M.

    A leaf is a cluster that remains where the M largest gaps are cut: one eigenvalue or a run.

    Attributes:
        merges: (M, 4, 2) each merge as a bracket of four (x, ε) points, lowest merge first.
        members: (M + 1,) number of eigenvalues in each leaf, in ascending order of eigenvalue.
        lower: (M + 1,) smallest eigenvalue of each leaf; −∞ where there are unknown ones below.
        upper: (M + 1,) largest eigenvalue of each leaf; ∞ where there are unknown ones above.
        mean: (M + 1,) mean eigenvalue of each leaf; NaN for one with unresolved eigenvalues.
    """

    merges: FloatArray
    members: IntArray
    lower: FloatArray
    upper: FloatArray
    mean: FloatArray

    @property
    def largest(self) -> int:
        """The leaf with most members (the lowest of equals)."""
        return int(np.argmax(self.members))

    @property
    def labels(self) -> list[str]:
        """Each leaf's mean eigenvalue, or "bulk", and its number of members if it has several."""
        return [
            ("bulk" if np.isnan(mean) else number(mean)) + (f" (×{members})" if members > 1 else "")
            for mean, members in zip(self.mean, self.members, strict=True)
        ]


def build_tree(dendro: Dendrogram, *, merges: int, floor: float) -> Tree:
    """The top of a dendrogram.

    Eigenvalues that are equal always share a leaf, since a logarithmic axis has no place for a
    merge at ε = 0. Of equal gaps at the limit, those at the lowest eigenvalues are drawn.

    Args:
        dendro: of a spectrum; unresolved eigenvalues are members of the leaf where they lie.
        merges: how many of the largest gaps to draw; all that are not zero where there are fewer.
        floor: ε at which the leaves stand, below every merge drawn.
    """
    largest = largest_gaps(dendro.heights, merges)
    bounds = np.concatenate(([0], np.sort(largest) + 1, [len(dendro.eigenvalues)]))
    start, stop = bounds[:-1], bounds[1:]
    members = np.add.reduceat(dendro.represented, start)
    mean = np.add.reduceat(dendro.eigenvalues, start) / members
    mean[members > stop - start] = np.nan

    # A cluster is a run of leaves; its position and top are kept at both of its ends.
    last_leaf = len(members) - 1
    lower, upper = dendro.eigenvalues[start], dendro.eigenvalues[stop - 1]
    if dendro.unresolved and dendro.lowest == 0:
        lower[0] = -np.inf
    if dendro.unresolved and dendro.lowest == len(dendro.eigenvalues):
        upper[-1] = np.inf

    x, top = np.arange(last_leaf + 1.0), np.full(last_leaf + 1, floor)
    first, last = np.arange(last_leaf + 1), np.arange(last_leaf + 1)
    brackets = np.empty((last_leaf, 4, 2))
    for row, gap in enumerate(largest[::-1]):
        right = int(np.searchsorted(start, gap + 1))
        left, height = right - 1, dendro.heights[gap]
        brackets[row] = (
            (x[left], top[left]),
            (x[left], height),
            (x[right], height),
            (x[right], top[right]),
        )
        run = [first[left], last[right]]
        x[run], top[run] = (x[left] + x[right]) / 2, height
        last[run[0]], first[run[1]] = run[1], run[0]
    return Tree(
        merges=brackets,
        members=members,
        lower=lower,
        upper=upper,
        mean=mean,
    )


def largest_gaps(heights: FloatArray, k: int) -> IntArray:
    """Positions of the (at most) k largest gaps that are not zero, largest first."""
    order = np.argsort(-heights, kind="stable")[:k]
    return order[heights[order] > 0]


def height_limits(trees: Sequence[Dendrogram], *, merges: int) -> tuple[float, float]:
    """Limits of an ε axis that holds the ``merges`` largest gaps of every tree.

    The lower limit is half of the smallest of those gaps, hence a floor for `build_tree`;
    (0.1, 1) where no spectrum has two different eigenvalues.
    """
    gaps = [tree.heights for tree in trees]
    drawn = np.concatenate([heights[largest_gaps(heights, merges)] for heights in gaps])
    if not drawn.size:
        return 0.1, 1.0
    return float(drawn.min()) / 2, float(drawn.max()) * 2


def eigenvalue_count(tree: Dendrogram) -> str:
    """How many eigenvalues there are, and how many of them are known."""
    if not tree.unresolved:
        return f"{tree.n} eigenvalues"
    return f"{len(tree.eigenvalues)} of {tree.n} eigenvalues known"


def number(value: float) -> str:
    """A number in three significant digits with a real minus sign."""
    return f"{value:.3g}".replace("-", "−")
