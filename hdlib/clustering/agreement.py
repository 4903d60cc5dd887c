"""How well the clusters of eigenvalues agree with a grouping that is given, at every resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering.dendrogram import dendrogram

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, repr=False, eq=False)
class CutAgreement:
    """Adjusted Rand index of each cut of a dendrogram with given labels, and its null.

    Attributes:
        clusters: (K,) int64 number of clusters of each cut, ascending from 1 to n; fewer than n
            cuts where gaps are equal.
        index: (K,) float64 adjusted Rand index of these cuts: 1 where clusters and labels are one
            partition, 0 on average for random labels of the same sizes.
        null: (S,) float64 largest index over all cuts, of labels that were permuted at random.
    """

    clusters: IntArray
    index: FloatArray
    null: FloatArray

    @property
    def best(self) -> float:
        """The largest index over all cuts: the one most favourable to the clusters."""
        return float(self.index.max())

    @property
    def best_clusters(self) -> int:
        """Number of clusters of that cut."""
        return int(self.clusters[self.index.argmax()])

    @cached_property
    def quantile(self) -> float:
        """What the largest index of permuted labels stays below in 95% of the draws."""
        return float(np.quantile(self.null, 0.95))

    @property
    def p(self) -> float:
        """(1 + number of draws with an index as large) / (1 + draws)."""
        return float((1 + (self.null >= self.best).sum()) / (1 + len(self.null)))

    def __repr__(self) -> str:
        return (
            f"CutAgreement: adjusted Rand index at most {self.best:.3f}, with "
            f"{self.best_clusters:,} clusters (95% of permuted labels: below {self.quantile:.3f}; "
            f"p = {self.p:.3g})"
        )


def agreement(
    eigenvalues: ArrayLike, labels: ArrayLike, *, draws: int = 200, seed: int = 0
) -> CutAgreement:
    """Compare the clusters of eigenvalues with labels, at every number of clusters there is.

    Merging two clusters with x_l and y_l members of label l adds Σ x_l y_l to the pairs that are
    together in both partitions and |x| |y| to those that are together in a cluster. So a pass over
    the sorted gaps gives the index (Hubert & Arabie 1985) of all cuts. The null permutes labels
    over the eigenvalues and searches all cuts in the same way; it takes labels as exchangeable
    along the spectrum, so that labels which only go with the scale of λ are above it, too.

    Args:
        eigenvalues: (n,) real, in any order, n ≥ 2.
        labels: (n,) of any kind, two different ones at least.
        draws: number of permutations.
        seed: seed of the permutations.

    Raises:
        ValueError: if sizes do not fit, values are not finite, all labels are equal or all
            different, or there is no draw.

    Example:
        >>> agreement([0.0, 0.1, 5.0, 5.2], ["a", "a", "b", "b"]).best_clusters
        2
    """
    tree = dendrogram(eigenvalues)
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    n = len(tree.eigenvalues)
    if codes.shape != (n,):
        raise ValueError(f"labels must be ({n},), as many as eigenvalues, got {codes.shape}")
    if not 1 <= codes.max() < n - 1:
        raise ValueError(f"{codes.max() + 1} different labels for {n} eigenvalues: 2 to {n - 1}")
    if draws < 1:
        raise ValueError(f"draws={draws}: must be at least 1")
    codes = codes[np.argsort(np.asarray(eigenvalues), kind="stable")]
    heights, runs = _merges(tree.heights)
    cuts = np.append(np.diff(heights) > 0, True)
    generator = np.random.default_rng(seed)
    null = [_indices(generator.permutation(codes), runs)[cuts].max() for _ in range(draws)]
    index = np.append(0.0, _indices(codes, runs)[cuts])  # all apart, before the first merge
    clusters = np.append(n, n - 1 - np.flatnonzero(cuts))
    if heights[0] == 0:  # equal eigenvalues are never apart
        index, clusters = index[1:], clusters[1:]
    return CutAgreement(clusters[::-1].copy(), index[::-1].copy(), np.maximum(null, 0.0))


def _merges(heights: FloatArray) -> tuple[FloatArray, IntArray]:
    """Merges in ascending order: their heights, and (start, middle, end) of the two joined runs."""
    order = np.argsort(heights, kind="stable")
    first, last = list(range(len(heights) + 1)), list(range(len(heights) + 1))
    runs = np.empty((len(heights), 3), dtype=np.int64)
    for row, left_end in enumerate(order.tolist()):
        start, end = first[left_end], last[left_end + 1]
        runs[row] = start, left_end + 1, end + 1
        first[end], last[start] = start, end
    return heights[order], runs


def _indices(codes: IntArray, runs: IntArray) -> FloatArray:
    """Adjusted Rand index after each merge of runs, for labels in the order of the eigenvalues."""
    n = len(codes)
    counts = np.zeros((n + 1, codes.max() + 1))
    counts[np.arange(1, n + 1), codes] = 1
    counts = counts.cumsum(0)
    start, middle, end = runs.T
    left, right = counts[middle] - counts[start], counts[end] - counts[middle]
    both = (left * right).sum(1).cumsum()
    together = (left.sum(1) * right.sum(1)).cumsum()
    labelled = (counts[-1] * (counts[-1] - 1) / 2).sum()
    expected = together * labelled / (n * (n - 1) / 2)
    return (both - expected) / ((together + labelled) / 2 - expected)
