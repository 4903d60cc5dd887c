"""Growing a Fiedler tree: a graph is cut in two, and each part again."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from hdlib.clustering.couplings import components, in_units, scaled_couplings
from hdlib.clustering.fiedler import (
    LAPLACIANS,
    SPLITS,
    Laplacian,
    Split,
    bipartition,
    fiedler_vector,
    require_choice,
)
from hdlib.clustering.fiedler_tree import FiedlerTree

IntArray = NDArray[np.int64]


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
    couplings, exponent = scaled_couplings(hessian)
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
            parts = components(graph)
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
    height = in_units(height, -exponent)
    for row in range(1, count):
        height[row] = max(height[row], np.nextafter(height[row - 1], np.inf))
    linkage[:, 2] = height
    conductance = np.array([cuts[cut].conductance for cut in order])
    return FiedlerTree(
        linkage,
        in_units(connectivity, exponent),
        conductance,
        np.array([cuts[cut].gain for cut in order]),
    )
