"""What one checkpoint has: its spectrum, and whose its eigenvectors, units and modules are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.clustering.couplings import components, coupling_graph
from hdlib.clustering.fiedler import bipartition, fiedler_vector
from hdlib.experiments.planted.config import PlantedConfig
from hdlib.experiments.planted.curvature import (
    gauss_newton_part,
    point_at,
    residual_part,
    softmax_derivatives,
)
from hdlib.models.planted import PlantedNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STILL = 1e-9
"""An eigenvector that moves the outputs less than this, over the most, moves none."""


class Curvatures(NamedTuple):
    """The exact curvature at a point, over those P′ parameters that are not dead.

    Attributes:
        gauss_newton: (P′, P′) of each circuit's loss, with its factor.
        residual: (P′, P′) of all losses together.
        alive: (P′,) indices of these parameters.
    """

    gauss_newton: list[FloatArray]
    residual: FloatArray
    alive: IntArray

    @property
    def hessian(self) -> FloatArray:
        """Their sum, H."""
        return np.sum([*self.gauss_newton, self.residual], axis=0)


def curvatures(config: PlantedConfig, model: PlantedNetwork) -> Curvatures:
    """The curvature of the training loss without its L2 term."""
    task = config.task
    at = point_at(model, config.encode(task.train))
    alive = at.factors != 0
    weights = [config.rho, *[1.0] * (len(config.moduli) - 1)]
    gauss_newton: list[Tensor] = [torch.zeros(()) for _ in config.moduli]
    residual = torch.zeros(())
    for part, circuit in zip(config.outputs, config.head_circuits, strict=True):
        gradient, curvature = softmax_derivatives(
            at.outputs[:, part], task.train.targets[:, circuit]
        )
        weight = weights[circuit]
        own = _alive(weight * gauss_newton_part(at, curvature, part), alive)
        gauss_newton[circuit] = gauss_newton[circuit] + own
        residual = residual + _alive(weight * residual_part(at, gradient, part), alive)
    return Curvatures(
        [matrix.numpy() for matrix in gauss_newton],
        residual.numpy(),
        alive.nonzero()[:, 0].numpy(),
    )


def movements(config: PlantedConfig, model: PlantedNetwork) -> list[FloatArray]:
    """For each circuit the mean of JᵀJ over its outputs, each softmax's logits less their mean.

    vᵀMv says how far v moves them; (P′, P′) as in `curvatures`.
    """
    at = point_at(model, config.encode(config.task.train))
    found: list[Tensor] = [torch.zeros(()) for _ in config.moduli]
    for part, circuit in zip(config.outputs, config.head_circuits, strict=True):
        size = part.stop - part.start
        centred = torch.eye(size, dtype=torch.float64) - 1 / size
        own = _alive(gauss_newton_part(at, centred[None], part), at.factors != 0)
        found[circuit] = found[circuit] + own
    return [matrix.numpy() for matrix in found]


def _alive(matrix: Tensor, alive: Tensor) -> Tensor:
    return matrix if alive.all() else matrix[alive][:, alive]


def eigenpairs(found: Curvatures, blocks: IntArray) -> tuple[FloatArray, FloatArray]:
    """All eigenvalues of the Hessian, ascending, and vectors; of each uncoupled block by itself.

    Eigenvalues of two blocks may be equal, as zeros are, and then a decomposition of the whole
    would mix their vectors.

    Args:
        found: curvatures.
        blocks: (P′,) block of each parameter.
    """
    matrix = found.hessian
    values, vectors = np.empty(len(blocks)), np.zeros_like(matrix)
    for block in np.unique(blocks):
        members = np.flatnonzero(blocks == block)
        own, within = np.linalg.eigh(matrix[np.ix_(members, members)])
        values[members] = own
        vectors[np.ix_(members, members)] = within
    order = np.argsort(values, kind="stable")
    return values[order], vectors[:, order]


def shares(movement: list[FloatArray], vectors: FloatArray) -> FloatArray:
    """Share of each circuit's outputs in what vectors move, (m, T); NaN where nothing moves.

    Movement is counted in that of a random direction, for which all shares are 1/T.
    """
    energy = np.stack(
        [((matrix @ vectors) * vectors).sum(0) / np.trace(matrix) for matrix in movement], 1
    )
    total = energy.sum(1, keepdims=True)
    moves = total > STILL * total.max()
    return np.divide(energy, total, out=np.full_like(energy, np.nan), where=moves)


def modules(matrix: FloatArray, k: int) -> IntArray:
    """The first k − 1 splits of the Fiedler tree, and not the rest of it, (P′,).

    As `hdlib.fiedler_tree` cut at k modules, for parameters that are coupled at all; −1 for others.
    """
    graph = coupling_graph(matrix)
    degrees = graph.sum(0)
    labels = np.full(len(graph), -1)
    coupled = np.flatnonzero(degrees > np.finfo(float).eps * degrees.max())
    parts = [coupled[part] for part in components(graph[np.ix_(coupled, coupled)])]
    if len(parts) > k:
        parts = [*parts[: k - 1], np.concatenate(parts[k - 1 :])]
    while len(parts) < k:
        found = [fiedler_vector(graph[np.ix_(p, p)], "normalised") for p in parts]
        weakest = int(np.argmin([each.connectivity for each in found]))
        part = parts.pop(weakest)
        side = bipartition(graph[np.ix_(part, part)], found[weakest].vector, "ncut")[0]
        parts += [part[side], part[~side]]
    for label, part in enumerate(sorted(parts, key=len, reverse=True)):
        labels[part] = label
    return labels


def joined_units(residual: FloatArray, owners: IntArray) -> int:
    """How many pairs of different units the residual couples: 0 by its closed form."""
    return int(((residual != 0) & (owners[:, None] != owners)).sum()) // 2


def unit_shares(found: Curvatures, units: IntArray) -> FloatArray:
    """Share of each circuit in the Gauss–Newton diagonal of what goes into a unit, (H, T).

    It says whose loss feels the unit: its output weights to a circuit are not asked, as these have
    curvature from that circuit by what they are.

    Args:
        found: curvatures.
        units: (P′,) unit that each parameter is an input weight or the bias of; −1 for others.
    """
    diagonals = [
        np.bincount(units[units >= 0], matrix.diagonal()[units >= 0])
        for matrix in found.gauss_newton
    ]
    total = np.sum(diagonals, 0)
    return np.stack(diagonals, 1) / np.where(total > 0, total, 1)[:, None]


def measured(config: PlantedConfig, model: PlantedNetwork) -> dict[str, NDArray]:
    """All that is kept of a checkpoint, of n = P′ eigenvalues, T circuits and H units.

    Returns:
        ``eigenvalues`` (n,) ascending; ``function`` (n, T) float16, share of each circuit in what
        an eigenvector does to the outputs; ``unit_shares`` (H, T); ``owner`` (P′,), the circuit
        with most of the parameter's Gauss–Newton diagonal, and ``gauss_newton_modules`` and
        ``hessian_modules`` (P′,), int8; ``joined_units``; ``residual_size``, Σ|R| / Σ|G|.
    """
    found = curvatures(config, model)
    planted = model.circuits().numpy()[found.alive]
    owners = model.owners().numpy()[found.alive]
    blocks = planted if config.alpha == 0 else np.zeros_like(planted)
    values, vectors = eigenpairs(found, blocks)
    total = np.sum(found.gauss_newton, axis=0)
    diagonals = np.stack([matrix.diagonal() for matrix in found.gauss_newton])
    into = np.where(found.alive < model.input_weight.numel() + len(model.input_bias), owners, -1)
    own = np.where(diagonals.max(0) > 0, diagonals.argmax(0), -1)
    return {
        "eigenvalues": values,
        "function": shares(movements(config, model), vectors).astype(np.float16),
        "unit_shares": unit_shares(found, into),
        "owner": own.astype(np.int8),
        "gauss_newton_modules": modules(total, len(config.moduli)).astype(np.int8),
        "hessian_modules": modules(found.hessian, len(config.moduli)).astype(np.int8),
        "joined_units": np.array(joined_units(found.residual, owners)),
        "residual_size": np.array(np.abs(found.residual).sum() / np.abs(total).sum()),
    }
