"""The dendrogram of a spectrum: single linkage of points on a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.curvature.spectrum import ConvergenceError, Spectrum
from hdlib.saving import Saved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST = np.finfo(float).max / 4
"""|λ| up to which differences, and means of two of them, are in the range of float64."""


class Gap(NamedTuple):
    """A gap between neighbouring eigenvalues.

    Attributes:
        rank: how many eigenvalues lie above the gap, unresolved ones among them.
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


@dataclass(frozen=True, repr=False, eq=False)
class Dendrogram(Saved):
    """Single-linkage tree of real eigenvalues λ₁ ≤ … ≤ λₙ.

    In one dimension single linkage *is* the sorted gaps: clusters at resolution ε are the maximal
    runs of neighbours closer than or equal to ε, so merge heights are the differences
    λᵢ₊₁ − λᵢ and n(ε) = 1 + #{i : λᵢ₊₁ − λᵢ > ε} (Gower & Ross 1969: single linkage is the
    minimum spanning tree, here a path).

    A spectrum may be known in part, by its ends: of n eigenvalues m are known, and the n − m others
    lie unresolved between two of them, or below or above all of them. What gaps there are among
    these nobody knows, only that so many eigenvalues crowd there; so they and the known ones next
    to them are taken as one cluster, the bulk, at every resolution. The height across them is 0, it
    is no gap, and n(ε) counts the clusters outside the bulk plus one.

    Attributes:
        eigenvalues: (m,) float64, ascending: those that are known.
        n: how many eigenvalues there are.
        lowest: how many of the known ones lie below the unresolved ones; m where all are known.

    Raises:
        ValueError: if these do not fit together, or are too large for float64.
    """

    eigenvalues: FloatArray
    n: int
    lowest: int

    def __post_init__(self) -> None:
        m = len(self.eigenvalues)
        if not 1 <= m <= self.n:
            raise ValueError(f"{m} of n={self.n} eigenvalues known: must be 1 to n")
        if not 0 <= self.lowest <= m:
            raise ValueError(f"lowest={self.lowest}: must be 0 to {m}, all that are known")
        if (largest := np.abs(self.eigenvalues).max()) > LARGEST:
            raise ValueError(
                f"eigenvalues up to {largest:g}: above {LARGEST:.1g} differences leave the range "
                "of float64; take a multiple of them"
            )

    def __repr__(self) -> str:
        known = f"{len(self.eigenvalues):,} of them known, " if self.unresolved else ""
        widest = self.heights.max(initial=0)
        return f"Dendrogram of {self.n:,} eigenvalues, {known}widest gap {widest:.6g}"

    @property
    def unresolved(self) -> int:
        """How many eigenvalues are not known."""
        return self.n - len(self.eigenvalues)

    @cached_property
    def heights(self) -> FloatArray:
        """Merge heights in the order of the eigenvalues: (n − 1,) differences of neighbours.

        Zero across unresolved eigenvalues.
        """
        heights = np.diff(self.eigenvalues)
        heights[self._across] = 0.0
        return heights

    @property
    def _across(self) -> slice:
        """Where the height across the unresolved eigenvalues is: one place, or none at an end."""
        position = self.lowest if self.unresolved else 0
        return slice(max(position - 1, 0), position)

    @cached_property
    def represented(self) -> IntArray:
        """How many eigenvalues each known one stands for, (n,) int64, so that cluster sizes add up.

        One, and for one next to the unresolved ones, with which it is always in one cluster: them
        too.
        """
        represented = np.ones(len(self.eigenvalues), dtype=np.int64)
        if self.unresolved:
            represented[self._across.start] += self.unresolved
        return represented

    @cached_property
    def _gaps(self) -> IntArray:
        """Positions of the gaps among the heights: all, but for that across unresolved ones."""
        return np.delete(np.arange(len(self.eigenvalues) - 1), self._across)

    @cached_property
    def _sorted_gaps(self) -> FloatArray:
        return np.sort(self.heights[self._gaps])

    @cached_property
    def linkage(self) -> FloatArray:
        """SciPy linkage matrix, (n − 1, 4) float64, leaves numbered by ascending eigenvalue.

        Equal to ``scipy.cluster.hierarchy.linkage(eigenvalues[:, None], "single")`` up to the order
        of ties. Its leaves are the known eigenvalues; where others lie unresolved between two,
        those merge at height 0, and sizes count known ones alone, as SciPy asks.

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
        merged = np.searchsorted(self._sorted_gaps, eps, side="right")
        return np.asarray(1 + len(self._sorted_gaps) - merged, dtype=np.int64)

    def cut(self, eps: float) -> list[IntArray]:
        """Members of each cluster at resolution ε, from the lowest cluster to the highest.

        Args:
            eps: resolution ε ≥ 0.

        Returns:
            One int64 array of indices into `eigenvalues` for each of the n(ε) clusters; unresolved
            eigenvalues have no index.

        Raises:
            ValueError: if ``eps`` is negative or NaN.
        """
        boundaries = np.flatnonzero(self.heights > _resolutions(eps)) + 1
        return np.split(np.arange(len(self.eigenvalues)), boundaries)

    def sizes(self, eps: float) -> IntArray:
        """Number of eigenvalues in each cluster at resolution ε, unresolved ones counted.

        Args:
            eps: resolution ε ≥ 0.

        Returns:
            (n(ε),) int64, in the order of `cut`; the sum is the size of the whole spectrum.

        Raises:
            ValueError: if ``eps`` is negative or NaN.
        """
        return np.array([self.represented[members].sum() for members in self.cut(eps)])

    def relative_gaps(self, window: int = 5) -> FloatArray:
        """Every gap over the local spacing of the spectrum.

        The local spacing of a gap is the median of the (up to) ``2 * window`` gaps nearest to it
        in rank, ``window`` on each side, itself left out. Gaps beyond unresolved eigenvalues are
        not near. The spacing is never taken smaller than the rounding error of an eigenvalue,
        n · 2⁻⁵² · max|λ| with n the size of the whole spectrum, so that exact zeros among the
        eigenvalues do not make every other gap infinite.

        Returns:
            (n − 1,) float64, dimensionless, in the order of the eigenvalues; zero where all
            eigenvalues are equal and across unresolved ones, and a gap without others near it is
            compared with the rounding error.

        Raises:
            ValueError: if ``window`` is not positive.
        """
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        largest = np.abs(self.eigenvalues).max()
        rounding = self.represented.sum() * np.finfo(float).eps * largest
        floor = max(rounding, np.finfo(float).tiny)
        ratios = np.zeros_like(self.heights)
        for side in np.split(self._gaps, [self._across.start]):
            spacing = _local_spacing(self.heights[side], window)
            ratios[side] = self.heights[side] / np.maximum(spacing, floor)
        return ratios

    def gaps(self, k: int, *, relative: bool = False, window: int = 5) -> list[Gap]:
        """The k largest gaps, largest first.

        Args:
            k: how many; all gaps where there are fewer. There is none across unresolved
                eigenvalues.
            relative: order by gap over local spacing instead of by gap.
            window: neighbours on each side that define the local spacing.

        Raises:
            ValueError: if ``k`` is negative or ``window`` not positive.
        """
        if k < 0:
            raise ValueError(f"k must not be negative, got {k}")
        values, ratio = self.eigenvalues, self.relative_gaps(window)
        above = self.represented.sum() - np.cumsum(self.represented)
        sizes = (ratio if relative else self.heights)[self._gaps]
        order = self._gaps[np.argsort(-sizes, kind="stable")[:k]].tolist()
        return [
            Gap(
                rank=int(above[i]),
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
        for ever (Carlsson 2009). Unresolved eigenvalues and the known ones next to them are
        one cluster from the beginning, with one bar.

        Returns:
            (n, 2) float64 of (birth, death), longest first, one row less where some are unresolved
            between two known ones; the first death is infinity.
        """
        deaths = np.concatenate(([np.inf], self._sorted_gaps[::-1]))
        return np.column_stack((np.zeros_like(deaths), deaths))


def dendrogram(spectrum: Spectrum | ArrayLike) -> Dendrogram:
    """Single-linkage dendrogram of a spectrum.

    Of a `Spectrum` that is known in part the bulk is known, too, and is no gap. An array is taken
    as *all* eigenvalues that there are.

    Args:
        spectrum: a spectrum whose pairs are certified, or (n,) eigenvalues in any order, real and
            finite, n ≥ 1.

    Raises:
        ConvergenceError: if pairs of the spectrum are not certified; `Spectrum.certified_ends`
            leaves those that are, and counts what lies beyond as unresolved.
        ValueError: if no eigenvalue is known, or the array is not one-dimensional, real, finite
            and within the range of float64.

    Example:
        >>> tree = dendrogram([0.0, 0.1, 5.0, 5.2])
        >>> int(tree.n_clusters(1.0))
        2
        >>> [members.tolist() for members in tree.cut(1.0)]
        [[0, 1], [2, 3]]
        >>> tree.gaps(1)[0].rank
        2

        The same four as the ends of a spectrum of a hundred: what looks like a gap is the bulk.

        >>> ends = Dendrogram(np.array([0.0, 0.1, 5.0, 5.2]), n=100, lowest=2)
        >>> int(ends.n_clusters(1.0))
        1
        >>> ends.sizes(0.15).tolist()
        [99, 1]
    """
    if isinstance(spectrum, Spectrum):
        _require_certified(spectrum)
        return Dendrogram(spectrum.eigenvalues, spectrum.n, spectrum.lowest)
    values = np.asarray(spectrum)
    if np.iscomplexobj(values):
        raise ValueError(f"eigenvalues must be real, got {values.dtype}")
    values = values.astype(np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"eigenvalues must be a non-empty vector, got shape {values.shape}")
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"eigenvalues must be finite, got {values[where]} at index {where}")
    return Dendrogram(np.sort(values), len(values), len(values))


def _require_certified(spectrum: Spectrum) -> None:
    failed = int((~spectrum.certified).sum())
    if failed:
        worst = int(spectrum.residuals.argmax())
        value = spectrum.eigenvalues[spectrum.indices[worst]]
        raise ConvergenceError(
            f"{failed} of {len(spectrum.residuals)} eigenpairs are not certified: that of λ = "
            f"{value:.6g} has residual {spectrum.residuals[worst]:.2e}, allowed are "
            f"{spectrum.tol * spectrum.scale:.2e}; give Lanczos more products, or take "
            "dendrogram(spectrum.certified_ends()), where what is not certain is part of the bulk"
        )
    if not len(spectrum.eigenvalues):
        raise ValueError(f"no eigenvalue of {spectrum.n} is known and certified")


def _local_spacing(heights: FloatArray, window: int) -> FloatArray:
    """Median of the gaps around each, itself left out; zero for a single one."""
    if len(heights) < 2:
        return np.zeros_like(heights)
    padded = np.pad(heights, window, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1).copy()
    around[:, window] = np.nan
    return np.nanmedian(around, axis=1)


def _resolutions(eps: ArrayLike) -> FloatArray:
    eps = np.asarray(eps, dtype=np.float64)
    if not (eps >= 0).all():
        raise ValueError(f"resolutions must not be negative or NaN, got {eps[~(eps >= 0)].flat[0]}")
    return eps
