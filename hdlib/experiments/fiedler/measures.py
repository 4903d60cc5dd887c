"""What the recipe measures on a Hessian: its two parts' trees, and those of other mixtures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import FiedlerTree, coupling_graph, fiedler_tree

Array = NDArray[np.float64]

RATIOS = (0.02, 0.06, 0.2, 0.7)
"""Σ|R| / Σ|G| of the mixtures: from a trained network's to an untrained one's."""


def parts(gauss_newton: Array, residual: Array) -> dict[str, NDArray]:
    """Tree and modules of each part of H = G + R alone, and how much coupling each has.

    Args:
        gauss_newton: G, (n, n).
        residual: R, (n, n).

    Returns:
        For "gauss_newton" and "residual" the module of each parameter, (n,) int16; with "_parts"
        (n − 1, 2) and "_height" (n − 1,) behind the name the merges of the tree, as a SciPy linkage
        has them; and with "_modularity" and "_total" (Σ|·| off the diagonal) a number each.
    """
    found: dict[str, NDArray] = {}
    for name, matrix in (("gauss_newton", gauss_newton), ("residual", residual)):
        tree = fiedler_tree(matrix)
        found |= {
            name: _modules(tree),
            f"{name}_parts": tree.linkage[:, :2].astype(np.int32),
            f"{name}_height": tree.linkage[:, 2].astype(np.float32),
            f"{name}_modularity": np.array(tree.modularity),
            f"{name}_total": np.array(total(matrix)),
        }
    return found


def mixtures(gauss_newton: Array, residual: Array, shuffled: Array) -> dict[str, NDArray]:
    """Modules of G + t R with t such that Σ|tR| / Σ|G| is each of `RATIOS`, and for other labels.

    Args:
        gauss_newton: G, (n, n); for cross-entropy the same whatever the labels are.
        residual: R, (n, n).
        shuffled: R′, (n, n), the residual of the same images with labels shuffled among them.

    Returns:
        "mixed", (ratios, n) int16, and "mixed_modularity", (ratios,); "shuffled", (n,) int16, of
        G + R′, and "shuffled_total", Σ|R′| off the diagonal.
    """
    scale = total(gauss_newton) / total(residual)
    mixed = [fiedler_tree(gauss_newton + ratio * scale * residual) for ratio in RATIOS]
    return {
        "mixed": np.stack([_modules(tree) for tree in mixed]),
        "mixed_modularity": np.array([tree.modularity for tree in mixed]),
        "shuffled": _modules(fiedler_tree(gauss_newton + shuffled)),
        "shuffled_total": np.array(total(shuffled)),
    }


def isolated(matrix: Array, layers: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number of parameters of each layer without any coupling, (L,).

    Args:
        matrix: H, (n, n).
        layers: indices of each layer's parameters.
    """
    coupled = (matrix != 0).sum(0) - (matrix.diagonal() != 0)
    return np.array([int((coupled[rows] == 0).sum()) for rows in layers])


def total(matrix: Array) -> float:
    """Sum of all couplings, Σ |·| off the diagonal."""
    return float(coupling_graph(matrix).sum())


def _modules(tree: FiedlerTree) -> NDArray[np.int16]:
    """The cut of most modularity."""
    return tree.cut(tree.n_modules).astype(np.int16)
