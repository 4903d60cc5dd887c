"""How well planted partitions are found again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.bisection import fiedler_tree
from hdlib.clustering.couplings import coupling_graph
from hdlib.tasks.planted import planted_hessian

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def recovery(
    partitions: Sequence[Sequence[int]], noises: Sequence[float], *, seeds: int
) -> dict[str, FloatArray]:
    """Adjusted Rand index (Hubert & Arabie 1985) between planted blocks and those found.

    Each method is told the number of blocks, and the couplings |H|: two Fiedler trees, and
    `sklearn.cluster.SpectralClustering` (k-means in the space of k eigenvectors).

    Args:
        partitions: sizes of the blocks, for each partition.
        noises: standard deviations of the couplings between blocks (see `planted_hessian`).
        seeds: how many planted Hessians of each kind, from seeds 0, 1, …; the same for all methods,
            whose scores are so paired.

    Returns:
        For "normalised, ncut", "combinatorial, median" and "SpectralClustering" a
        (partitions, noises, seeds) float64 array: 1 where all is found, 0 on average for random
        labels.

    Raises:
        ValueError: if ``seeds`` is not positive, or for a partition or noise that cannot be.
    """
    from sklearn.metrics import adjusted_rand_score  # here, as scikit-learn takes a second

    if seeds < 1:
        raise ValueError(f"seeds={seeds}: must be at least 1")
    methods = {
        "normalised, ncut": _by_tree,
        "combinatorial, median": _by_halving_tree,
        "SpectralClustering": _by_scikit_learn,
    }
    found = {name: np.empty((len(partitions), len(noises), seeds)) for name in methods}
    for p, sizes in enumerate(partitions):
        for q, noise in enumerate(noises):
            for seed in range(seeds):
                hessian, blocks = planted_hessian(sizes, noise=noise, seed=seed)
                for name, method in methods.items():
                    clusters = method(hessian, len(sizes))
                    found[name][p, q, seed] = adjusted_rand_score(blocks, clusters)
    return found


def _by_tree(hessian: FloatArray, k: int) -> IntArray:
    return fiedler_tree(hessian).cut(k)


def _by_halving_tree(hessian: FloatArray, k: int) -> IntArray:
    return fiedler_tree(hessian, laplacian="combinatorial", split="median").cut(k)


def _by_scikit_learn(hessian: FloatArray, k: int) -> IntArray:
    from sklearn.cluster import SpectralClustering

    method = SpectralClustering(k, affinity="precomputed", random_state=0)
    return method.fit_predict(coupling_graph(hessian))
