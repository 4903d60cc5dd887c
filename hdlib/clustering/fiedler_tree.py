"""The Fiedler tree: parameters grouped by how they curve together, and cut into modules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.couplings import by_size
from hdlib.saving import Saved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, repr=False, eq=False)
class FiedlerTree(Saved):
    """A recursive bipartition of n parameters, as a dendrogram.

    Row r of the n − 1 rows is the cluster n + r, in the order of ascending height; a cluster always
    comes after its parts.

    Attributes:
        linkage: (n − 1, 4) float64, a SciPy linkage matrix: two parts, height, number of members.
        connectivity: (n − 1,) λ₂ of the couplings within each cluster; 0 for a disconnected one.
        conductance: (n − 1,) of the cut between the two parts; 0 for a disconnected one.
        gain: (n − 1,) modularity (Newman & Girvan 2004, weighted) that the cut adds to any
            partition: 2 (v v'/V² − w/V), with w the coupling across it, v and v' the degrees of its
            sides in the whole graph, and V all of them.
    """

    linkage: FloatArray
    connectivity: FloatArray
    conductance: FloatArray
    gain: FloatArray

    def __repr__(self) -> str:
        return (
            f"FiedlerTree of {self.n_leaves:,} parameters, {self.n_modules:,} modules, "
            f"modularity {self.modularity:.3f}"
        )

    @property
    def n_leaves(self) -> int:
        """Number of parameters, n."""
        return len(self.linkage) + 1

    @property
    def order(self) -> IntArray:
        """(n,) the parameters from left to right; every cluster is a run of them."""
        parts, n = self.linkage[:, :2].astype(np.int64), self.n_leaves
        order, waiting = [], [2 * n - 2]
        while waiting:
            cluster = waiting.pop()
            if cluster < n:
                order.append(cluster)
            else:
                waiting.extend(parts[cluster - n, ::-1])
        return np.array(order)

    @cached_property
    def _apart(self) -> NDArray[np.bool_]:
        """(n − 1,) clusters in pieces, but for those of uncoupled parameters alone."""
        apart, uncoupled = self.connectivity == 0, (self.connectivity == 0) & (self.gain == 0)
        for row in np.flatnonzero(uncoupled):
            parts = self.linkage[row, :2].astype(np.int64) - self.n_leaves
            parts = parts[parts >= 0]
            # Such a split takes uncoupled parameters away from the others, which leave no gain.
            apart[parts[uncoupled[parts]]] = False
        return apart & self.gain.any()

    @cached_property
    def splits(self) -> IntArray:
        """(n − 1,) rows in the order in which clusters are split: pieces first, then by gain."""
        n, parts = self.n_leaves, self.linkage[:, :2].astype(np.int64)
        first = np.where(self._apart, -np.inf, -self.gain)
        best, rows = [(first[-1], n - 2)], []
        while best:
            rows.append(heappop(best)[1])
            for part in parts[rows[-1]].tolist():
                if part >= n:
                    heappush(best, (first[part - n], part - n))
        return np.array(rows)

    @cached_property
    def _gaining(self) -> FloatArray:
        """Gains of the splits into pieces and of those that add to the modularity."""
        gains = self.gain[self.splits]
        stops = ~self._apart[self.splits] & (gains <= 0)
        return gains[: int(np.append(stops, True).argmax())]

    @property
    def n_modules(self) -> int:
        """Number of clusters when the next split would not add to the modularity.

        Disconnected pieces are always apart; parameters without any coupling are one cluster.
        """
        return 1 + len(self._gaining)

    @property
    def modularity(self) -> float:
        """Modularity of these clusters, 0 … 1; 0 for a single one."""
        return float(self._gaining.sum())

    def cut(self, k: int) -> IntArray:
        """The k clusters got from the whole by always making the split of most gain.

        Clusters in disconnected pieces are split before all others. Parameters without any coupling
        stay together until no split adds to the modularity.

        SciPy's ``fcluster(linkage, k, "maxclust")`` splits the weakest cluster instead. Among
        clusters of different size that is a matter of size as much as of structure: the smaller a
        random graph, the smaller its λ₂.

        Args:
            k: 1 … n.

        Returns:
            (n,) int64, each parameter's cluster, 0 … k − 1, the largest cluster first (of equals
            that with the first parameter).

        Raises:
            ValueError: for another k.
        """
        n = self.n_leaves
        if not 1 <= k <= n:
            raise ValueError(f"k={k}: must be 1 to {n}, the number of parameters")
        whole = np.ones(n - 1, dtype=bool)
        whole[self.splits[: k - 1]] = False
        labels, parts = np.arange(2 * n - 1), self.linkage[:, :2].astype(np.int64)
        for row in np.flatnonzero(whole)[::-1]:
            labels[parts[row]] = labels[n + row]
        return by_size(labels[:n])
