"""The dendrogram of a spectrum: single linkage of points on a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Gap(NamedTuple):
    """A gap between neighbouring eigenvalues.

    Attributes:
        rank: how many eigenvalues lie above the gap.
        lower: the eigenvalue below the gap.
        upper: the eigenvalue above the gap.
        size: ``upper - lower``.
        relative: ``size`` over the local spacing (see `Dendrogram.relative_gaps`).
    """

    rank: int
    lower: float
    upper: float
    size: float
    relative: float


@dataclass(frozen=True)
class Dendrogram:
    """Single-linkage tree of real eigenvalues λ₁ ≤ … ≤ λₙ.

    In one dimension single linkage *is* the sorted gaps: clusters at resolution ε are the maximal
    runs of neighbours closer than or equal to ε, so merge heights are the differences
    λᵢ₊₁ − λᵢ and n(ε) = 1 + #{i : λᵢ₊₁ − λᵢ > ε} (Gower & Ross 1969: single linkage is the
    minimum spanning tree, here a path).

    Attributes:
        eigenvalues: (n,) float64, ascending.
    """

    eigenvalues: FloatArray

    @cached_property
    def heights(self) -> FloatArray:
        """Merge heights in the order of the eigenvalues: (n − 1,) differences of neighbours."""
        return np.diff(self.eigenvalues)

    @cached_property
    def _sorted_heights(self) -> FloatArray:
        return np.sort(self.heights)

    @cached_property
    def linkage(self) -> FloatArray:
        """SciPy linkage matrix, (n − 1, 4) float64, leaves numbered by ascending eigenvalue.

        Equal to ``scipy.cluster.hierarchy.linkage(eigenvalues[:, None], "single")`` up to the order
        of ties.

        Raises:
            ValueError: for fewer than two eigenvalues, which no linkage matrix can hold.
        """
        n = len(self.eigenvalues)
        if n < 2:
            raise ValueError(f"a linkage needs at least 2 eigenvalues, got {n}")
        heights = self.heights
        linkage = np.empty((n - 1, 4))
        # A cluster is a run [first, last] of leaves; its id is kept at both of its ends.
        cluster = list(range(n))
        first, last = list(range(n)), list(range(n))
        for row, left_end in enumerate(np.argsort(heights, kind="stable").tolist()):
            start, end = first[left_end], last[left_end + 1]
            ids = sorted((cluster[left_end], cluster[left_end + 1]))
            linkage[row] = *ids, heights[left_end], end - start + 1
            cluster[start] = cluster[end] = n + row
            first[end], last[start] = start, end
        return linkage

    def n_clusters(self, eps: ArrayLike) -> IntArray:
        """n(ε): the number of clusters at each resolution.

        Args:
            eps: resolutions ε ≥ 0, any shape.

        Returns:
            int64 array of the shape of ``eps`` (a scalar array for a scalar).

        Raises:
            ValueError: if a resolution is negative or NaN.
        """
        eps = _resolutions(eps)
        merged = np.searchsorted(self._sorted_heights, eps, side="right")
        return np.asarray(len(self.eigenvalues) - merged, dtype=np.int64)

    def cut(self, eps: float) -> list[IntArray]:
        """Members of each cluster at resolution ε, from the lowest cluster to the highest.

        Args:
            eps: resolution ε ≥ 0.

        Returns:
            One int64 array of indices into `eigenvalues` for each of the n(ε) clusters.

        Raises:
            ValueError: if ``eps`` is negative or NaN.
        """
        boundaries = np.flatnonzero(self.heights > _resolutions(eps)) + 1
        return np.split(np.arange(len(self.eigenvalues)), boundaries)

    def relative_gaps(self, window: int = 5) -> FloatArray:
        """Every gap over the local spacing of the spectrum.

        The local spacing of a gap is the median of the (up to) ``2 * window`` gaps nearest to it
        in rank, ``window`` on each side, itself left out. It is never taken smaller than the
        rounding error of an eigenvalue, n · 2⁻⁵² · max|λ|, so that exact zeros among the
        eigenvalues do not make every other gap infinite.

        Returns:
            (n − 1,) float64, dimensionless, in the order of the eigenvalues; zero where all
            eigenvalues are equal, and a single gap is compared with the rounding error.

        Raises:
            ValueError: if ``window`` is not positive.
        """
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        heights = self.heights
        if not heights.any():
            return np.zeros_like(heights)
        padded = np.pad(heights, window, constant_values=np.nan)
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1).copy()
        around[:, window] = np.nan
        if len(heights) == 1:
            around[:, window] = 0.0
        rounding = len(self.eigenvalues) * np.finfo(float).eps * np.abs(self.eigenvalues).max()
        floor = max(rounding, np.finfo(float).tiny)
        return heights / np.maximum(np.nanmedian(around, axis=1), floor)

    def gaps(self, k: int, *, relative: bool = False, window: int = 5) -> list[Gap]:
        """The k largest gaps, largest first.

        Args:
            k: how many; all gaps where there are fewer.
            relative: order by gap over local spacing instead of by gap.
            window: neighbours on each side that define the local spacing.

        Raises:
            ValueError: if ``k`` is negative or ``window`` not positive.
        """
        if k < 0:
            raise ValueError(f"k must not be negative, got {k}")
        values, ratio = self.eigenvalues, self.relative_gaps(window)
        order = np.argsort(-(ratio if relative else self.heights), kind="stable")[:k].tolist()
        return [
            Gap(
                rank=len(values) - 1 - i,
                lower=float(values[i]),
                upper=float(values[i + 1]),
                size=float(self.heights[i]),
                relative=float(ratio[i]),
            )
            for i in order
        ]

    def barcode(self) -> FloatArray:
        """Persistence barcode of degree 0: the ε-interval in which each cluster lives.

        In the Vietoris–Rips filtration every point is a cluster born at ε = 0. At each merge the
        younger of two clusters dies (all are of one age, so one of them), and the last one lives
        for ever (Carlsson 2009).

        Returns:
            (n, 2) float64 of (birth, death), longest first; the first death is infinity.
        """
        deaths = np.concatenate(([np.inf], self._sorted_heights[::-1]))
        return np.column_stack((np.zeros_like(deaths), deaths))


def dendrogram(eigenvalues: ArrayLike) -> Dendrogram:
    """Single-linkage dendrogram of eigenvalues, in any order.

    Args:
        eigenvalues: (n,) real and finite, n ≥ 1.

    Raises:
        ValueError: if the array is empty, not one-dimensional, or not finite.

    Example:
        >>> tree = dendrogram([0.0, 0.1, 5.0, 5.2])
        >>> int(tree.n_clusters(1.0))
        2
        >>> [members.tolist() for members in tree.cut(1.0)]
        [[0, 1], [2, 3]]
        >>> tree.gaps(1)[0].rank
        2
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"eigenvalues must be a non-empty vector, got shape {values.shape}")
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"eigenvalues must be finite, got {values[where]} at index {where}")
    return Dendrogram(np.sort(values))


def _resolutions(eps: ArrayLike) -> FloatArray:
    eps = np.asarray(eps, dtype=np.float64)
    if not (eps >= 0).all():
        raise ValueError(f"resolutions must not be negative or NaN, got {eps[~(eps >= 0)].flat[0]}")
    return eps
