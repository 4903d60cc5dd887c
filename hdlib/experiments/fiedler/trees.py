"""Fiedler trees as arrays that are stored, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import FiedlerTree

CLUSTERS = (2, 5, 10, 20, 50)
"""Cuts of which the members are kept where the tree is not."""


def tree_arrays(tree: FiedlerTree) -> dict[str, NDArray]:
    """All of a tree of n parameters.

    Returns:
        "parts", (n − 1, 2) int32, the merges of a SciPy linkage; "height", (n − 1,) float64; and
        "connectivity", "conductance" and "gain", (n − 1,) float32.
    """
    return {
        "parts": tree.linkage[:, :2].astype(np.int32),
        "height": tree.linkage[:, 2],
        "connectivity": tree.connectivity.astype(np.float32),
        "conductance": tree.conductance.astype(np.float32),
        "gain": tree.gain.astype(np.float32),
    }


def cut_arrays(tree: FiedlerTree) -> dict[str, NDArray]:
    """Clusters of a tree where the tree is not kept.

    Returns:
        "cuts", (1 + C, n) int16, of the cut with most modularity, then of those into `CLUSTERS`;
        "modularity" of the first; and "conductance" of the first splits.
    """
    numbers = [tree.n_modules, *(min(k, tree.n_leaves) for k in CLUSTERS)]
    return {
        "cuts": np.stack([tree.cut(k) for k in numbers]).astype(np.int16),
        "modularity": np.array(tree.modularity),
        "conductance": tree.conductance[tree.splits][: max(CLUSTERS) - 1],
    }


def as_tree(arrays: dict[str, NDArray], prefix: str = "") -> FiedlerTree:
    """The tree whose `tree_arrays` are stored with a prefix."""
    rest = (arrays[f"{prefix}{name}"] for name in ("connectivity", "conductance", "gain"))
    return FiedlerTree(as_linkage(arrays, prefix), *(values.astype(np.float64) for values in rest))


def as_linkage(arrays: dict[str, NDArray], prefix: str) -> NDArray[np.float64]:
    """A SciPy linkage, (n − 1, 4), from the merges and heights that are stored with a prefix."""
    parts = arrays[f"{prefix}parts"].astype(np.int64)
    sizes = np.ones(2 * len(parts) + 1)
    for row, pair in enumerate(parts):
        sizes[len(parts) + 1 + row] = sizes[pair].sum()
    linkage = np.empty((len(parts), 4))
    linkage[:, :2], linkage[:, 2] = parts, arrays[f"{prefix}height"]
    linkage[:, 3] = sizes[len(parts) + 1 :]
    return linkage
