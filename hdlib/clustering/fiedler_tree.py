"""The Fiedler tree: parameters grouped by how they curve together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from hdlib.clustering.fiedler import (
    LAPLACIANS,
    SPLITS,
    Laplacian,
    Split,
    bipartition,
    fiedler_vector,
)
from hdlib.saving import Saved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SYMMETRIC = 1e-10
"""Largest |H − Hᵀ| over the largest |H| that counts as rounding."""
SAFE_EXPONENT = 400
"""Beyond entries of 2 to the power of ± this, products of two leave the range of float64."""


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
        return _by_size(labels[:n])


class _Node(NamedTuple):
    """A cluster while the tree grows: its members, and the node it is part of."""

    members: IntArray
    parent: int


class _Cut(NamedTuple):
    """A cluster with two parts: nodes, or a leaf as the complement ~index."""

    parent: int
    size: int
    connectivity: float
    conductance: float
    gain: float


def fiedler_tree(
    hessian: ArrayLike, *, laplacian: Laplacian = "normalised", split: Split = "ncut"
) -> FiedlerTree:
    """Split parameters in two by the Fiedler vector of their couplings, and each part again.

    Couplings are A_ij = |H_ij|, i ≠ j. A cluster is split into its connected components if it has
    several, else by the eigenvector of the second-smallest eigenvalue λ₂ of its own Laplacian, down
    to single parameters.

    A cluster's height is 1/λ₂, but never more than that of the cluster it is part of. So cutting
    the tree at height t gives what a recursion gives that splits clusters as long as λ₂ < 1/t,
    and the k − 1 highest merges are the splits of one that always splits the weakest cluster next.
    Equal heights are set one step of rounding apart, in that order, so that SciPy's ``fcluster``
    can return any number of clusters. A disconnected cluster has λ₂ = 0;
    for its height λ₂ is taken as the rounding error of the whole Laplacian, n · 2⁻⁵² · its
    largest degree (1 for the normalised one). Its components are joined one by one, the smaller
    first.

    A multiple of H has the same tree, with its heights for the combinatorial Laplacian over that
    factor; couplings whose products leave the range of float64 are scaled by a power of two, which
    is exact.

    The cost is O(m³) for a cluster of m. Splits into parts of comparable size add a third to that
    of the first; but a tree that takes off one parameter at a time, as the combinatorial Laplacian
    does with "sign" where degrees differ by orders of magnitude, costs O(n⁴).

    Args:
        hessian: H, (n, n) real and symmetric up to rounding; n ≥ 2.
        laplacian: "combinatorial", D − A, or "normalised", D^-½ (D − A) D^-½ (Shi & Malik 2000).
        split: where the Fiedler vector is cut: at its "sign", at its "median", which makes equal
            parts of whatever it is given, or where a sweep through its values finds the least
            conductance ("sweep", Spielman & Teng 1996) or normalised cut ("ncut", Shi & Malik
            2000). Conductance favours equal parts, and so misses a small cluster among noise.

    Raises:
        ValueError: if H is not a real symmetric matrix of finite numbers, for an unknown option, or
            if heights 1/λ₂ leave the range of float64.

    Example:
        >>> H = np.kron(np.eye(2), np.ones((3, 3))) + 0.01
        >>> fiedler_tree(H).cut(2).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    require_choice("laplacian", laplacian, LAPLACIANS)
    require_choice("split", split, SPLITS)
    couplings, exponent = _scaled_couplings(hessian)
    n = len(couplings)
    degrees = couplings.sum(0)
    volume = degrees.sum() or 1.0
    degree = degrees.max() if laplacian == "combinatorial" else 1.0
    smallest = n * np.finfo(float).eps * (degree or 1.0)
    waiting = [_Node(np.arange(n), -1)]
    cuts: list[_Cut] = []
    leaves = np.empty(n, dtype=np.int64)
    with tqdm(total=n, desc="fiedler tree", unit="parameter", disable=None, leave=False) as bar:
        while waiting:
            members, parent = waiting.pop()
            if len(members) == 1:
                leaves[members[0]] = parent
                bar.update()
                continue
            graph = couplings[np.ix_(members, members)]
            parts = _components(graph)
            if len(parts) > 1:
                for done, part in enumerate(parts[:-1]):
                    apart, rest = members[part], members[np.concatenate(parts[done + 1 :])]
                    gain = 2 * degrees[apart].sum() * degrees[rest].sum() / volume**2
                    cuts.append(_Cut(parent, len(apart) + len(rest), 0.0, 0.0, gain))
                    parent = len(cuts) - 1
                    waiting.append(_Node(members[part], parent))
                waiting.append(_Node(members[parts[-1]], parent))
                continue
            found = fiedler_vector(graph, laplacian)
            part, across, conductance = bipartition(graph, found.vector, split)
            del graph
            expected = degrees[members[part]].sum() * degrees[members[~part]].sum() / volume
            gain = 2 * (expected - across) / volume
            cuts.append(_Cut(parent, len(members), found.connectivity, conductance, gain))
            waiting.extend(_Node(members[side], len(cuts) - 1) for side in (part, ~part))
    return _linkage(cuts, leaves, smallest, exponent if laplacian == "combinatorial" else 0)


def algebraic_connectivity(hessian: ArrayLike, *, laplacian: Laplacian = "normalised") -> float:
    """λ₂ of the couplings A = |H|: 0 for a disconnected graph (Fiedler 1973).

    Args:
        hessian: H, (n, n) real and symmetric up to rounding; n ≥ 2.
        laplacian: as `fiedler_tree` takes it.

    Raises:
        ValueError: if H is not a real symmetric matrix of finite numbers, for an unknown option, or
            if λ₂ leaves the range of float64.
    """
    require_choice("laplacian", laplacian, LAPLACIANS)
    couplings, exponent = _scaled_couplings(hessian)
    if len(_components(couplings)) > 1:
        return 0.0
    found = fiedler_vector(couplings, laplacian).connectivity
    return float(_in_units(np.array(found), exponent if laplacian == "combinatorial" else 0))


def require_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is not one of the options.

    Raises:
        ValueError: for another value.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


def coupling_graph(hessian: ArrayLike) -> FloatArray:
    """A = |H| without its diagonal, (n, n) float64.

    Raises:
        ValueError: if H is not square with at least two rows, real, finite and symmetric.
    """
    couplings, exponent = _scaled_couplings(hessian)
    return np.ldexp(couplings, exponent) if exponent else couplings


def _scaled_couplings(hessian: ArrayLike) -> tuple[FloatArray, int]:
    """Couplings / 2^e and e, which is 0 but where products would leave the range of float64."""
    matrix = np.asarray(hessian)
    if np.iscomplexobj(matrix):
        raise ValueError(f"the matrix must be real, got {matrix.dtype}: take .real where it is")
    matrix = matrix.astype(np.float64, copy=False)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"a square matrix of at least 2 × 2 is needed, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        i, j = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(f"the matrix must be finite, got {matrix[i, j]} at ({i}, {j})")
    with np.errstate(over="ignore"):
        skew = np.abs(matrix - matrix.T)
    # The smallest number of all is a rounding error, too.
    if skew.max() > max(SYMMETRIC * np.abs(matrix).max(), np.finfo(float).smallest_subnormal):
        i, j = np.unravel_index(skew.argmax(), skew.shape)
        raise ValueError(
            f"the matrix must be symmetric, got {matrix[i, j]:g} at ({i}, {j}) and "
            f"{matrix[j, i]:g} at ({j}, {i})"
        )
    del skew
    couplings = np.abs(matrix)
    couplings = np.maximum(couplings, couplings.T)
    np.fill_diagonal(couplings, 0)
    exponent = int(np.frexp(couplings.max())[1])
    if abs(exponent) <= SAFE_EXPONENT:
        return couplings, 0
    return np.ldexp(couplings, -exponent, out=couplings), exponent


def _in_units(numbers: FloatArray, exponent: int) -> FloatArray:
    """Numbers times 2^exponent."""
    with np.errstate(over="ignore", under="ignore"):
        numbers = np.ldexp(numbers, exponent)
    if not np.isfinite(numbers).all():
        raise ValueError(
            "λ₂ or heights 1/λ₂ leave the range of float64: take a multiple of the matrix, or the "
            "normalised Laplacian"
        )
    return numbers


def _components(graph: FloatArray) -> list[IntArray]:
    """Members of the connected components, the largest first, of equals the one seen first."""
    if graph[graph.sum(0).argmax()].astype(bool).sum() == len(graph) - 1:
        # One node is coupled to all others.
        return [np.arange(len(graph))]
    labels = connected_components(csr_array(graph), directed=False)[1]
    ordered = _by_size(labels)
    return [np.flatnonzero(ordered == label) for label in range(ordered.max() + 1)]


def _by_size(labels: IntArray) -> IntArray:
    """The same groups, numbered from the largest on, of equals from the one seen first."""
    _, first, inverse, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[inverse]


def _linkage(cuts: list[_Cut], leaves: IntArray, smallest: float, exponent: int) -> FiedlerTree:
    """Undo the tree from the top, the weakest cluster first, and number it from the bottom.

    λ₂ of the cuts is in units of 2^exponent.
    """
    n, count = len(leaves), len(cuts)
    parts: list[list[int]] = [[] for _ in cuts]
    for cut in range(1, count):
        parts[cuts[cut].parent].append(cut)
    weakest, order = [(cuts[0].connectivity, 0)], []
    while weakest:
        order.append(heappop(weakest)[1])
        for cut in parts[order[-1]]:
            heappush(weakest, (cuts[cut].connectivity, cut))
    order.reverse()

    number = np.empty(count, dtype=np.int64)
    number[order] = n + np.arange(count)
    children = [number[cut].tolist() for cut in parts]
    for leaf, parent in enumerate(leaves.tolist()):
        children[parent].append(leaf)
    linkage = np.empty((count, 4))
    linkage[:, :2] = np.sort([children[cut] for cut in order], axis=1)
    linkage[:, 3] = [cuts[cut].size for cut in order]
    connectivity = np.array([cuts[cut].connectivity for cut in order])
    height = np.minimum.accumulate(1 / np.maximum(connectivity[::-1], smallest))[::-1]
    height = _in_units(height, -exponent)
    for row in range(1, count):
        height[row] = max(height[row], np.nextafter(height[row - 1], np.inf))
    linkage[:, 2] = height
    conductance = np.array([cuts[cut].conductance for cut in order])
    return FiedlerTree(
        linkage,
        _in_units(connectivity, exponent),
        conductance,
        np.array([cuts[cut].gain for cut in order]),
    )
