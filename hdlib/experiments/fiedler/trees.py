"""Fiedler trees as arrays that are stored, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import FiedlerTree

FIRST = 49
"""Splits of which the conductance is kept where the tree is not."""


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


def module_arrays(tree: FiedlerTree) -> dict[str, NDArray]:
    """Modules of a tree where the tree is not kept.

    Returns:
        "modules", (n,) int16, the cut with most modularity; that "modularity"; and "conductance",
        (`FIRST`,) float64, of the first splits.
    """
    return {
        "modules": tree.cut(tree.n_modules).astype(np.int16),
        "modularity": np.array(tree.modularity),
        "conductance": tree.conductance[tree.splits][:FIRST],
    }


def as_tree(arrays: dict[str, NDArray]) -> FiedlerTree:
    """The tree whose `tree_arrays` are stored."""
    rest = (arrays[name] for name in ("connectivity", "conductance", "gain"))
    return FiedlerTree(as_linkage(arrays), *(values.astype(np.float64) for values in rest))


def as_linkage(arrays: dict[str, NDArray], prefix: str = "") -> NDArray[np.float64]:
    """A SciPy linkage, (n − 1, 4), from the merges and heights that are stored with a prefix."""
    parts = arrays[f"{prefix}parts"].astype(np.int64)
    sizes = np.ones(2 * len(parts) + 1)
    for row, pair in enumerate(parts):
        sizes[len(parts) + 1 + row] = sizes[pair].sum()
    linkage = np.empty((len(parts), 4))
    linkage[:, :2], linkage[:, 2] = parts, arrays[f"{prefix}height"]
    linkage[:, 3] = sizes[len(parts) + 1 :]
    return linkage
