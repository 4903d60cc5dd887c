"""Where the lines of a tree go: geometry, without any drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import is_monotonic, is_valid_linkage, leaves_list

from hdlib.clustering import Dendrogram
from hdlib.figures.style import number
from hdlib.figures.validation import FloatArray, IntArray, checked_array


@dataclass(frozen=True)
class TreeTop:
    """The M highest merges of a tree of n leaves, above M + 1 remaining clusters.

    Attributes:
        brackets: (M, 4, 2) each merge as a bracket of four (x, height) points, lowest merge first.
        rows: (M,) the row of the linkage that each merge is.
        order: (n,) the leaves of the whole tree from left to right.
        bounds: (M + 2,) where in ``order`` the remaining clusters begin, and n.
        spans: (M, 2) where in ``order`` the members of each merge begin and end.
        x: (M + 1,) where the remaining clusters are.
    """

    brackets: FloatArray
    rows: IntArray
    order: IntArray
    bounds: IntArray
    spans: IntArray
    x: FloatArray

    @property
    def clusters(self) -> list[IntArray]:
        """The members of each remaining cluster, from left to right."""
        return np.split(self.order, self.bounds[1:-1])

    @property
    def sizes(self) -> IntArray:
        """(M + 1,) how many members each remaining cluster has."""
        return np.diff(self.bounds)


def tree_top(
    linkage: FloatArray, *, merges: int, floor: float, spread: Literal["leaves", "clusters"]
) -> TreeTop:
    """Cut a tree below its highest merges, and place what is above.

    Args:
        linkage: (n − 1, 4), as `checked_linkage` returns it; (0, 4) of a single leaf.
        merges: how many of the highest merges, M; all where there are fewer.
        floor: height at which the remaining clusters stand.
        spread: whether x counts the "leaves", so that a remaining cluster is as wide as its
            members and stands in their middle, or the remaining "clusters", at 0, 1, ….
    """
    n = len(linkage) + 1
    first = max(0, n - 1 - merges)
    parts, sizes = linkage[:, :2].astype(np.int64), linkage[:, 3].astype(np.int64)
    size = np.concatenate([np.ones(n, np.int64), sizes])
    begin = np.zeros(2 * n - 1, np.int64)
    for row in range(n - 2, first - 1, -1):
        left, right = parts[row]
        begin[left] = begin[n + row]
        begin[right] = begin[left] + size[left]

    root = [2 * n - 2] if first == n - 1 else []
    remaining = np.append(parts[first:][parts[first:] < n + first], root).astype(np.int64)
    remaining = remaining[np.argsort(begin[remaining])]
    x, top = np.empty(2 * n - 1), np.full(2 * n - 1, floor, np.float64)
    if spread == "leaves":
        x[remaining] = begin[remaining] + size[remaining] / 2
    else:
        x[remaining] = np.arange(len(remaining))
    brackets = np.empty((n - 1 - first, 4, 2))
    for row in range(first, n - 1):
        (left, right), height = parts[row], linkage[row, 2]
        brackets[row - first] = (
            (x[left], top[left]),
            (x[left], height),
            (x[right], height),
            (x[right], top[right]),
        )
        x[n + row], top[n + row] = (x[left] + x[right]) / 2, height
    rows = np.arange(first, n - 1)
    return TreeTop(
        brackets=brackets,
        rows=rows,
        order=leaves_list(linkage).astype(np.int64) if n > 1 else np.zeros(1, np.int64),
        bounds=np.append(begin[remaining], n),
        spans=np.column_stack([begin[n + rows], begin[n + rows] + sizes[rows]]),
        x=x[remaining],
    )


@dataclass(frozen=True)
class EigenvalueTree:
    """The top of a single-linkage dendrogram: M merges above M + 1 leaves at x = 0 … M.

    A leaf is a cluster that remains where the M largest gaps are cut: one eigenvalue or a run.

    Attributes:
        brackets: (M, 4, 2) each merge as a bracket of four (x, ε) points, lowest merge first.
        members: (M + 1,) number of eigenvalues in each leaf, in ascending order of eigenvalue.
        lower: (M + 1,) smallest eigenvalue of each leaf; −∞ where there are unknown ones below.
        upper: (M + 1,) largest eigenvalue of each leaf; ∞ where there are unknown ones above.
        mean: (M + 1,) mean eigenvalue of each leaf; NaN for one with unresolved eigenvalues.
    """

    brackets: FloatArray
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
            ("bulk" if np.isnan(mean) else number(mean))
            + (f" (×{members:,})" if members > 1 else "")
            for mean, members in zip(self.mean, self.members, strict=True)
        ]


def eigenvalue_tree(dendro: Dendrogram, *, merges: int, floor: float) -> EigenvalueTree:
    """The top of a dendrogram.

    Eigenvalues that are equal always share a leaf, since a logarithmic axis has no place for a
    merge at ε = 0. Of equal gaps at the limit, those at the highest eigenvalues are drawn.

    Args:
        dendro: of a spectrum; unresolved eigenvalues are members of the leaf where they lie.
        merges: how many of the largest gaps to draw; all that are not zero where there are fewer.
        floor: ε at which the leaves stand, below every merge drawn.
    """
    values = dendro.eigenvalues
    linkage = spatial(dendro.linkage) if len(values) > 1 else np.empty((0, 4))
    drawn = min(merges, int(np.count_nonzero(dendro.heights)))
    top = tree_top(linkage, merges=drawn, floor=floor, spread="clusters")
    start, stop = top.bounds[:-1], top.bounds[1:]
    members = np.add.reduceat(dendro.represented, start)
    mean = np.add.reduceat(values, start) / members
    mean[members > stop - start] = np.nan
    lower, upper = values[start], values[stop - 1]
    if dendro.unresolved and dendro.lowest == 0:
        lower[0] = -np.inf
    if dendro.unresolved and dendro.lowest == len(values):
        upper[-1] = np.inf
    return EigenvalueTree(top.brackets, members, lower, upper, mean)


def spatial(linkage: FloatArray) -> FloatArray:
    """The same tree with the children of each merge in the order of their lowest leaves."""
    ordered = linkage.copy()
    lowest = list(range(len(linkage) + 1))
    for row, (left, right) in enumerate(linkage[:, :2].astype(np.int64).tolist()):
        if lowest[left] > lowest[right]:
            ordered[row, :2] = right, left
        lowest.append(min(lowest[left], lowest[right]))
    return ordered


def largest_gaps(heights: FloatArray, k: int) -> IntArray:
    """Positions of the (at most) k largest gaps that are not zero, largest first."""
    order = np.argsort(-heights, kind="stable")[:k]
    return order[heights[order] > 0]


def gap_limits(trees: Sequence[Dendrogram], *, merges: int) -> tuple[float, float]:
    """Limits of a logarithmic ε axis that holds the ``merges`` largest gaps of every tree.

    The lower limit is half of the smallest of those gaps, hence a floor for `eigenvalue_tree`;
    (0.1, 1) where no spectrum has two different eigenvalues.
    """
    drawn = np.concatenate([tree.heights[largest_gaps(tree.heights, merges)] for tree in trees])
    if not drawn.size:
        return 0.1, 1.0
    return float(drawn.min()) / 2, float(drawn.max()) * 2


def height_axis(heights: FloatArray) -> tuple[float, float, Literal["linear", "log"]]:
    """Limits and scale of an axis for heights: logarithmic where they span more than a factor 100.

    The lower limit is below every height, hence a floor for `tree_top`.
    """
    low, high = float(heights.min()), float(heights.max())
    if low > 0 and high > 100 * low:
        return low / 1.5, high * 1.5, "log"
    # Heights that differ by little more than rounding look equal.
    spread = max(high - low, 0.1 * high) or 1.0
    floor = high - 1.1 * spread
    return max(floor, 0.0) if low > 0 else floor, high + 0.05 * spread, "linear"


def checked_linkage(name: str, linkage: ArrayLike, n: int | None = None) -> FloatArray:
    """A linkage of n leaves as float64, (n − 1, 4).

    Raises:
        ValueError: unless it is a valid SciPy linkage matrix of so many leaves whose heights do not
            descend.
    """
    checked = checked_array(name, linkage, (None, 4))
    try:
        is_valid_linkage(checked, throw=True)
    except ValueError as error:
        raise ValueError(f"{name} must be a linkage matrix: {error}") from error
    if not is_monotonic(checked):
        row = int(np.flatnonzero(np.diff(checked[:, 2]) < 0)[0])
        raise ValueError(
            f"{name} must have heights that do not descend, got {checked[row, 2]:g} and then "
            f"{checked[row + 1, 2]:g} at row {row}"
        )
    if n is not None and len(checked) != n - 1:
        raise ValueError(f"{name} must have {n - 1} rows for {n} parameters, got {len(checked)}")
    return checked
