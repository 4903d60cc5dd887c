"""Vectors and features in groups of the same energy, and what is found where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.coclustering import column_groups
from hdlib.clustering.concentration import concentrating_basis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Grouping(NamedTuple):
    """Vectors and features in k groups.

    Attributes:
        vectors: (m,) int64 group of each vector.
        features: (F,) int64 group of each feature.
        modularity: bipartite modularity (Barber 2007), each vector weighted alike.
    """

    vectors: IntArray
    features: IntArray
    modularity: float


class Nulls(NamedTuple):
    """Modularity where there are no circuits, for each number of groups.

    Attributes:
        rotated: (S, K) of random orthonormal bases of the same span.
        permuted: (S, K) of vectors that give their energies to random features.
    """

    rotated: FloatArray
    permuted: FloatArray


def energy_shares(curvatures: FloatArray) -> FloatArray:
    """Share of each feature in the energy of each vector, (m, F), of curvatures (F, m, m)."""
    energies = np.diagonal(curvatures, axis1=1, axis2=2).T.clip(min=0)
    return energies / energies.sum(1, keepdims=True)


def group_shares(table: FloatArray, groups: IntArray, k: int) -> FloatArray:
    """Share of the features of each group in the rows of a table: (m, k) of (m, F)."""
    added = table @ (groups[:, None] == np.arange(k))
    total = added.sum(1, keepdims=True)
    return np.divide(added, total, out=np.zeros_like(added), where=total > 0)


def groupings(table: FloatArray, counts: range) -> list[Grouping]:
    """The groups of vectors and features, for each number of groups.

    A vector is in the group in whose features it has most energy beyond what vectors have there on
    average; so, given the groups of the features, modularity is as large as it gets.

    Args:
        table: M, (m, F), rows that sum to 1, no column zero.
        counts: numbers of groups. Where no more can be told apart, they are the most that can.
    """
    found = []
    features = column_groups(table, counts[-1])
    for k in counts:
        chosen = features[min(k, len(features) + 1) - 2]
        shares = group_shares(table, chosen, k)
        gains = shares - shares.mean(0)
        found.append(Grouping(gains.argmax(1), chosen, float(gains.max(1).mean())))
    return found


def drawn_nulls(
    curvatures: FloatArray, blocks: Sequence[IntArray], counts: range, *, draws: int, seed: int
) -> Nulls:
    """Modularity of the best groups in random rotations, and with permuted features.

    Args:
        curvatures: (F, m, m).
        blocks: vectors of equal eigenvalues, whose basis is free.
        counts: numbers of groups, K of them.
        draws: number of draws, S.
        seed: seed of the draws.
    """
    generator = np.random.default_rng(seed)
    table = energy_shares(curvatures)
    rotated, permuted = np.empty((2, draws, len(counts)))
    for row in range(draws):
        shuffled = generator.permuted(table, axis=1)
        basis, triangle = np.linalg.qr(generator.standard_normal((len(table), len(table))))
        basis *= np.sign(np.diag(triangle))
        turned = in_concentrating_basis(basis.T @ curvatures @ basis, blocks)[1]
        for null, shares in ((permuted, shuffled), (rotated, energy_shares(turned))):
            null[row] = [found.modularity for found in groupings(shares, counts)]
    return Nulls(rotated, permuted)


def in_concentrating_basis(
    curvatures: FloatArray, blocks: Sequence[IntArray]
) -> tuple[FloatArray, FloatArray]:
    """Vectors turned within each block so that each moves as few features as may be.

    Returns:
        The rotation R, (m, m), and Rᵀ G_f R, (F, m, m).
    """
    basis = np.eye(curvatures.shape[1])
    for block in blocks:
        if len(block) > 1:
            square = np.ix_(block, block)
            basis[square] = concentrating_basis(curvatures[:, *square])
    if all(len(block) == 1 for block in blocks):
        return basis, curvatures
    return basis, basis.T @ curvatures @ basis
