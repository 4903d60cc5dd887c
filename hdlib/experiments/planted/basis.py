"""The same Hessian in a random orthogonal basis: what depends on the basis, and what does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.planted.config import PlantedConfig
from hdlib.experiments.planted.measures import curvatures, modules
from hdlib.models.planted import PlantedNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def random_basis(size: int, seed: int) -> FloatArray:
    """A random orthogonal matrix, by Haar's measure (Mezzadri 2007)."""
    basis, triangle = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    return basis * np.sign(np.diag(triangle))


def module_purity(parts: IntArray, basis: FloatArray, planted: IntArray) -> float:
    """How far each module lies in the parameters of one circuit: mean over the modules' axes.

    A module is the span of some axes of a basis; its share in a circuit is the mean squared length
    of these axes within the circuit's parameters. 1 where each module is of one circuit, for two
    equal circuits ½ where it is of none.

    Args:
        parts: (P,) module of each axis, −1 for none.
        basis: (P, P), the axes as columns.
        planted: (P,) circuit of each parameter.
    """
    within = np.stack([(basis[planted == c] ** 2).sum(0) for c in np.unique(planted)], 1)
    labels = np.unique(parts[parts >= 0])
    sizes = np.array([(parts == label).sum() for label in labels])
    pure = np.array([within[parts == label].mean(0).max() for label in labels])
    return float((sizes * pure).sum() / sizes.sum())


def rotated(config: PlantedConfig, model: PlantedNetwork) -> dict[str, NDArray]:
    """Purity of the Fiedler modules of Gauss–Newton in the parameters' basis and in a random one.

    Returns:
        ``purity`` (2,), and ``apart``, the largest difference of the eigenvalues over the largest.
    """
    found = curvatures(config, model)
    planted = model.circuits().numpy()[found.alive]
    matrix = np.sum(found.gauss_newton, axis=0)
    turn = random_basis(len(matrix), config.seed)
    turned = turn.T @ matrix @ turn
    turned = (turned + turned.T) / 2
    k = len(config.moduli)
    purity = [
        module_purity(modules(matrix, k), np.eye(len(matrix)), planted),
        module_purity(modules(turned, k), turn, planted),
    ]
    values = [np.linalg.eigvalsh(each) for each in (matrix, turned)]
    apart = np.abs(values[0] - values[1]).max() / np.abs(values[0]).max()
    return {"purity": np.array(purity), "apart": np.array(apart)}
