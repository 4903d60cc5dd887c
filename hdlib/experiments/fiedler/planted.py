"""Blocks planted in Hessians of random numbers, and how well they are found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PARTITIONS = (
    (50, 50),
    (30, 30, 30, 30),
    (15,) * 8,
    (100, 5),
    (80, 40, 20, 4),
    (64, 32, 16, 8, 8, 8, 4, 4),
)
"""Sizes of planted blocks, equal and not."""
NOISES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
TREE, HALVED, OTHER = "normalised, ncut", "combinatorial, median", "SpectralClustering"
EQUAL = np.array([len(set(sizes)) == 1 for sizes in PARTITIONS])
KINDS = {"all": EQUAL | True, "equal": EQUAL, "unequal": ~EQUAL}


def scores(recovered: Mapping[str, NDArray], kind: str) -> dict[str, Array]:
    """Mean adjusted Rand index over the partitions of a kind, for each method (noises, seeds).

    Args:
        recovered: adjusted Rand indices (partitions, noises, seeds) of each method.
        kind: key of `KINDS`.

    Returns:
        With "difference", what the tree is ahead of spectral clustering on the same Hessians.
    """
    found = {name: values[KINDS[kind]].mean(0) for name, values in recovered.items()}
    return found | {"difference": found[TREE] - found[OTHER]}


def standard_error(values: Array) -> Array:
    """Of the mean over the last axis."""
    return values.std(-1, ddof=1) / np.sqrt(values.shape[-1])
