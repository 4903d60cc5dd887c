"""From config to run: the trees of every checkpoint's Hessian, and what they are compared with."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.clustering import (
    algebraic_connectivity,
    coupling_graph,
    fiedler_tree,
    permuted_within_blocks,
    recovery,
)
from hdlib.curvature import HessianSplit, hessian_split, parameter_layers, spectrum
from hdlib.experiments.fiedler import measures
from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.fiedler.planted import NOISES, PARTITIONS
from hdlib.experiments.fiedler.trees import as_tree, module_arrays, tree_arrays
from hdlib.experiments.lenet import (
    TRAINING,
    chosen,
    hessian_at,
    hessian_data,
    model_at,
    require_room,
    weights_at,
)
from hdlib.measures import binned
from hdlib.store import (
    Agreement,
    Arrays,
    ArrayStage,
    Experiment,
    Run,
    agreement,
    difference,
    file_name,
)
from hdlib.tasks import TRAIN_SIZE, Split

OTHER_SAMPLES = 2
"""Further draws of Hessian samples at the chosen checkpoints."""
BINS = 200
"""Rows of the picture of the couplings."""
RECOVERY_SEEDS = {"mnist": 20, "digits": 2}
"""Planted Hessians of each kind; few where the run is a small one."""
PLANTED = "recovery"
"""The one item of the planted blocks."""

FiedlerRun: TypeAlias = Run[FiedlerConfig]


def _trees(run: FiedlerRun, step: int) -> Arrays:
    """The tree, and the modules of the null.

    It is normalised and cut where the normalised cut is least. In the null, couplings are permuted
    within the blocks of layers.
    """
    matrix, layers = _hessian(run, step), list(parameter_layers(model_at(run, step)).values())
    tree = fiedler_tree(matrix)
    alone = [algebraic_connectivity(matrix[np.ix_(rows, rows)]) for rows in layers]
    generator = np.random.default_rng((run.config.hessian_seed, 3, step))
    null = fiedler_tree(permuted_within_blocks(matrix, layers, generator))
    return (
        tree_arrays(tree)
        | {f"null_{name}": values for name, values in module_arrays(null).items()}
        | {
            "connectivities": np.array([tree.connectivity[-1], *alone]),
            "null_connectivity": null.connectivity[-1:],
            "isolated": measures.isolated(matrix, layers),
        }
    )


def _originals(run: FiedlerRun, step: int) -> Arrays:
    """The tree of the original work, which is combinatorial, and cut at the median."""
    return tree_arrays(fiedler_tree(_hessian(run, step), laplacian="combinatorial", split="median"))


def _other_samples(run: FiedlerRun, step: int) -> Arrays:
    """The modules for other Hessian samples."""
    trees = [fiedler_tree(_hessian(run, step, draw + 1)) for draw in range(OTHER_SAMPLES)]
    found = [module_arrays(tree) for tree in trees]
    return {name: np.stack([arrays[name] for arrays in found]) for name in found[0]}


def _couplings(run: FiedlerRun, step: int) -> Arrays:
    """A picture of the couplings in two orders."""
    matrix = coupling_graph(_hessian(run, step))
    orders = {"parameters": np.arange(len(matrix)), "tree": as_tree(run.arrays(TREES, step)).order}
    bins = min(BINS, len(matrix))
    return {
        name: binned(matrix, order, bins=bins).astype(np.float32) for name, order in orders.items()
    }


def _parts(run: FiedlerRun, step: int) -> Arrays:
    """Trees of the Gauss–Newton part and of the residual, each alone."""
    split = _split(run, step, _samples(run))
    return measures.parts(split.gauss_newton.numpy(), split.residual.numpy())


def _mixtures(run: FiedlerRun, step: int) -> Arrays:
    """Modules of other mixtures of the parts, and for shuffled labels."""
    data = _samples(run)
    split = _split(run, step, data)
    generator = np.random.default_rng((run.config.hessian_seed, 4, step))
    order = torch.from_numpy(generator.permutation(len(data.targets))).to(run.device)
    other = _split(run, step, Split(data.inputs, data.targets[order]))
    return measures.mixtures(
        split.gauss_newton.numpy(), split.residual.numpy(), other.residual.numpy()
    )


def _eigenvalues(run: FiedlerRun, step: int) -> Arrays:
    matrix = hessian_at(run, step, _samples(run))
    return {"eigenvalues": spectrum(matrix, vectors=0).eigenvalues}


def _recovery(run: FiedlerRun, item: str) -> Arrays:
    """How well planted partitions are found; of no network."""
    return recovery(PARTITIONS, NOISES, seeds=RECOVERY_SEEDS[run.config.dataset])


def _height_agreement(stored: Arrays, recomputed: Arrays) -> list[Agreement]:
    heights = [np.sort(arrays["height"]) for arrays in (stored, recomputed)]
    apart = float(np.abs(heights[0] / heights[1] - 1).max())
    return [Agreement("merge heights over themselves", apart, 1e-6)]


def _tree_agreement(stored: Arrays, recomputed: Arrays) -> list[Agreement]:
    connected = difference(stored["connectivities"], recomputed["connectivities"])
    heights = _height_agreement(stored, recomputed)
    return [*heights, Agreement("algebraic connectivities", connected, 1e-6)]


HESSIAN = ("hessian_samples", "hessian_seed")

TREES = ArrayStage(
    "fiedler/trees",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.checkpoints,
    sources=weights_at,
    version=2,
    compute=_trees,
    agreement=_tree_agreement,
)
ORIGINALS = ArrayStage(
    "fiedler/originals",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.ends,
    sources=weights_at,
    compute=_originals,
    agreement=_height_agreement,
)
SAMPLES = ArrayStage(
    "fiedler/samples",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.chosen,
    sources=weights_at,
    version=2,
    compute=_other_samples,
    agreement=agreement(modularity=1e-6),
)
COUPLINGS = ArrayStage(
    "fiedler/couplings",
    fields=HESSIAN,
    needs=(TRAINING, TREES),
    items=lambda run: run.config.chosen,
    sources=lambda run, step: [*weights_at(run, step), (TREES, file_name(step))],
    compute=_couplings,
    agreement=agreement(parameters=1e-5, tree=1e-5),
)
PARTS = ArrayStage(
    "fiedler/parts",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.parts,
    sources=weights_at,
    compute=_parts,
    agreement=agreement(gauss_newton_total=1e-9, residual_total=1e-9),
)
MIXTURES = ArrayStage(
    "fiedler/mixtures",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.ends,
    sources=weights_at,
    compute=_mixtures,
    agreement=agreement(mixed_modularity=1e-6, shuffled_total=1e-9),
)
EIGENVALUES = ArrayStage(
    "fiedler/eigenvalues",
    fields=HESSIAN,
    needs=(TRAINING,),
    items=lambda run: run.config.parts,
    sources=weights_at,
    compute=_eigenvalues,
    agreement=agreement(eigenvalues=1e-9),
)
RECOVERY = ArrayStage(
    "fiedler/recovery",
    fields=("dataset",),
    items=lambda run: [PLANTED],
    compute=_recovery,
    agreement=agreement(),
)
EXPERIMENT = Experiment(
    FiedlerConfig,
    (TRAINING, TREES, ORIGINALS, SAMPLES, COUPLINGS, PARTS, MIXTURES, EIGENVALUES, RECOVERY),
    cost="one to two hours",
    room=require_room,
)
run = EXPERIMENT.run


def _samples(run: FiedlerRun) -> Split:
    return hessian_data(run, run.config.hessian_samples)


def _hessian(run: FiedlerRun, step: int, draw: int = 0) -> NDArray[np.float64]:
    """The Hessian over the run's samples, or over as many others."""
    data = _samples(run)
    if draw:
        generator = np.random.default_rng((run.config.hessian_seed, 2, draw))
        order = generator.permutation(TRAIN_SIZE[run.config.dataset])
        data = chosen(run, order[: run.config.hessian_samples])
    return hessian_at(run, step, data).cpu().numpy()


def _split(run: FiedlerRun, step: int, data: Split) -> HessianSplit:
    """Both parts of the Hessian over some samples, on the CPU."""
    split = hessian_split(model_at(run, step).to(run.device), F.cross_entropy, data)
    return HessianSplit(*(part.cpu() for part in split))
