"""The top of a tree given as a SciPy linkage: geometry, without any drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import is_monotonic, is_valid_linkage, leaves_list

from hdlib.figures.validation import checked_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
        linkage: (n − 1, 4), as `checked_linkage` returns it.
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

    remaining = parts[first:][parts[first:] < n + first]
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
        order=leaves_list(linkage).astype(np.int64),
        bounds=np.append(begin[remaining], n),
        spans=np.column_stack([begin[n + rows], begin[n + rows] + sizes[rows]]),
        x=x[remaining],
    )


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


def checked_linkage(name: str, linkage: ArrayLike) -> FloatArray:
    """A linkage of n leaves as float64, (n − 1, 4).

    Raises:
        ValueError: unless it is a valid SciPy linkage matrix whose heights do not descend.
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
    return checked
