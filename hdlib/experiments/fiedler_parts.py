"""The modules of the two parts of a Hessian, and of other mixtures of them than the network's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import coupling_graph, fiedler_tree

Array = NDArray[np.float64]

RATIOS = (0.02, 0.06, 0.2, 0.7)
"""Σ|R| / Σ|G| of the mixtures: from a trained network's to an untrained one's."""


def parts(gauss_newton: Array, residual: Array) -> dict[str, NDArray]:
    """Modules of each part of H = G + R alone, and how much coupling each has.

    Args:
        gauss_newton: G, (n, n).
        residual: R, (n, n).

    Returns:
        For "gauss_newton" and "residual" the module of each parameter, (n,) int16; and with
        "_modularity" and "_total" (Σ|·| off the diagonal) behind the name a number each.
    """
    found: dict[str, NDArray] = {}
    for name, matrix in (("gauss_newton", gauss_newton), ("residual", residual)):
        labels, modularity = _modules(matrix)
        found |= {
            name: labels,
            f"{name}_modularity": modularity,
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
    mixed = [_modules(gauss_newton + ratio * scale * residual) for ratio in RATIOS]
    return {
        "mixed": np.stack([labels for labels, _ in mixed]),
        "mixed_modularity": np.stack([modularity for _, modularity in mixed]),
        "shuffled": _modules(gauss_newton + shuffled)[0],
        "shuffled_total": np.array(total(shuffled)),
    }


def total(matrix: Array) -> float:
    """Sum of all couplings, Σ |·| off the diagonal."""
    return float(coupling_graph(matrix).sum())


def _modules(matrix: Array) -> tuple[NDArray[np.int16], Array]:
    """The cut of most modularity, and its modularity."""
    tree = fiedler_tree(matrix)
    return tree.cut(tree.n_modules).astype(np.int16), np.array(tree.modularity)
