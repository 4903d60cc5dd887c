"""The modules of a Fiedler tree, without the tree below them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering.couplings import by_size, components, scaled_couplings
from hdlib.clustering.fiedler import bipartition, fiedler_vector

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Modules:
    """Groups of parameters between which modularity is most.

    Attributes:
        labels: (n,) int64, the group of each parameter, 0 … k − 1, the largest first.
        modularity: (Newman & Girvan 2004, weighted), 0 … 1; 0 for a single group.
    """

    labels: IntArray
    modularity: float


def fiedler_modules(hessian: ArrayLike, *, most: int | None = None) -> Modules:
    """Groups that `fiedler_tree` ends in when its next split would not add to the modularity.

    They are ``tree.cut(tree.n_modules)``, and their modularity is ``tree.modularity``, of the tree
    with the normalised Laplacian and the least normalised cut. A cluster is split as it is there,
    as long as that adds modularity; what is below is left out.

    Args:
        hessian: H, (n, n) real and symmetric up to rounding; n ≥ 2.
        most: number of groups at which it ends in any case, those of the splits that add most. A
            graph without modules of its own falls into hundreds, each of which takes its time.

    Raises:
        ValueError: if H is not a real symmetric matrix of finite numbers, or ``most`` is less than
            the number of pieces that have no coupling between them.

    Example:
        >>> fiedler_modules(np.kron(np.eye(2), np.ones((3, 3))) + 0.01).labels.tolist()
        [0, 0, 0, 1, 1, 1]
    """
    couplings, _ = scaled_couplings(hessian)
    degrees = couplings.sum(0)
    pieces = components(couplings)
    alone = [piece for piece in pieces if not degrees[piece].any()]
    done = [np.concatenate(alone)] if alone else []
    coupled = [piece for piece in pieces if degrees[piece].any()]
    enough = len(degrees) if most is None else most
    if enough < len(done) + len(coupled):
        raise ValueError(
            f"most={most}: at least {len(done) + len(coupled)}, the number of pieces without any "
            f"coupling between them"
        )
    waiting = [_Split.of(couplings, degrees, members) for members in coupled]
    while len(done) + len(waiting) < enough and (better := [s for s in waiting if s.gain > 0]):
        chosen = max(better, key=lambda split: split.gain)
        waiting = [split for split in waiting if split is not chosen]
        for side in (chosen.part, ~chosen.part):
            waiting.append(_Split.of(couplings, degrees, chosen.members[side]))
    clusters = done + [split.members for split in waiting]
    labels = np.empty(len(degrees), dtype=np.int64)
    for label, members in enumerate(clusters):
        labels[members] = label
    return Modules(by_size(labels), _modularity(couplings, degrees, clusters))


@dataclass(frozen=True)
class _Split:
    """A cluster, the modularity that its split adds, and which of its members are one side."""

    members: IntArray
    gain: float
    part: NDArray[np.bool_]

    @classmethod
    def of(cls, couplings: FloatArray, degrees: FloatArray, members: IntArray) -> _Split:
        """The split of some members that `fiedler_tree` makes."""
        if len(members) == 1:
            return cls(members, 0.0, np.ones(1, dtype=bool))
        graph = couplings[np.ix_(members, members)]
        volume = degrees.sum()
        if len(pieces := components(graph)) > 1:
            part = np.zeros(len(members), dtype=bool)
            part[pieces[0]] = True
            across = 0.0
        else:
            vector = fiedler_vector(graph, "normalised").vector
            part, across, _ = bipartition(graph, vector, "ncut")
        expected = degrees[members[part]].sum() * degrees[members[~part]].sum() / volume
        return cls(members, float(2 * (expected - across) / volume), part)


def _modularity(couplings: FloatArray, degrees: FloatArray, clusters: list[IntArray]) -> float:
    """Σ (w/V − (v/V)²) over the clusters, with w twice the coupling within, v its degrees."""
    volume = degrees.sum() or 1.0
    within = [couplings[np.ix_(members, members)].sum() / volume for members in clusters]
    chance = [(degrees[members].sum() / volume) ** 2 for members in clusters]
    return float(sum(within) - sum(chance)) if degrees.any() else 0.0
