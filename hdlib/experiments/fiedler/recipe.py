"""From config to run: the trees of every checkpoint's Hessian, and what they are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tqdm import tqdm

from hdlib.clustering import (
    FiedlerTree,
    algebraic_connectivity,
    coupling_graph,
    fiedler_tree,
    permuted_within_blocks,
    recovery,
)
from hdlib.curvature import HessianSplit, hessian, hessian_split, parameter_layers
from hdlib.device import resolve_device
from hdlib.experiments import mnist
from hdlib.experiments.fiedler import measures
from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.fiedler.planted import NOISES, PARTITIONS, RECOVERY
from hdlib.experiments.fiedler.trees import as_tree, cut_arrays, tree_arrays
from hdlib.experiments.mnist import MnistConfig, hessian_data, model_at
from hdlib.measures import binned
from hdlib.models import LeNetTiny
from hdlib.runs import Run
from hdlib.tasks import Split, load_images
from hdlib.training import checkpoint_name

OTHER_SAMPLES = 2
"""Further draws of Hessian samples at the chosen checkpoints."""
BINS = 200
"""Of the picture of the couplings."""
RECOVERY_SEEDS = {"mnist": 20, "digits": 2}
"""Planted Hessians of each kind; few where the run is a small one."""


def tree_name(step: int) -> str:
    """File of the trees at a checkpoint."""
    return f"trees/step_{step:06d}.safetensors"


def samples_name(step: int) -> str:
    """File of the cuts from other Hessian samples at a chosen checkpoint."""
    return f"samples/step_{step:06d}.safetensors"


def couplings_name(step: int) -> str:
    """File of the picture of the couplings at a chosen checkpoint."""
    return f"couplings/step_{step:06d}.safetensors"


def parts_name(step: int) -> str:
    """File of the trees of the Hessian's two parts at a checkpoint."""
    return f"parts/step_{step:06d}.safetensors"


def mixtures_name(step: int) -> str:
    """File of the modules of other mixtures of the parts, and for other labels."""
    return f"mixtures/step_{step:06d}.safetensors"


def run(config: FiedlerConfig, *, root: Path | None = None) -> Run[FiedlerConfig]:
    """The run of ``config``: found where it is stored, else computed, or what is missing of it.

    The MNIST run comes first. Then, at each of its checkpoints, the Hessian is computed once more,
    and from it: the tree, normalised and cut where the normalised cut is least; the tree of the
    original work, combinatorial and cut at the median; the cuts of the first for couplings permuted
    within the blocks of layers (the null); the algebraic connectivity of the whole and of each
    layer. At the chosen checkpoints also the cuts for other Hessian samples, and a picture of the
    couplings. At these and the first ones the modules of the Gauss–Newton part and of the residual
    alone; at the first and the last checkpoint those of other mixtures of the two, and for shuffled
    labels. Last, and of no network: how well planted partitions are found.

    Args:
        config: what to compute.
        root: where to look and compute instead of the usual roots.

    Raises:
        Those of `hdlib.experiments.mnist.run`.
    """
    found = Run.of(config) if root is None else Run(config, root)
    if not found.complete:
        trained = mnist.run(config.trained, root=root)
        device = resolve_device(config.device)
        with found.writing(device):
            if not found.complete:
                _Recipe(found, trained, device).compute()
    return found


def trained_run(run: Run[FiedlerConfig]) -> Run[MnistConfig]:
    """The MNIST run that a run is of, wherever it is."""
    beside = Run(run.config.trained, run.path.parent.parent)
    return beside if beside.complete else Run.of(run.config.trained)


def stored_tree(run: Run[FiedlerConfig], step: int, prefix: str = "") -> FiedlerTree:
    """The tree at a checkpoint; that of the original work with the prefix "original_"."""
    return as_tree(run.arrays(tree_name(step)), prefix)


def tree_error(run: Run[FiedlerConfig], step: int) -> float:
    """Largest relative difference of sorted merge heights, stored and recomputed from the weights.

    Raises:
        ValueError: if ``step`` is not a checkpoint of the run.
    """
    if step not in run.config.checkpoints:
        raise ValueError(f"step={step}: the checkpoints are {run.config.checkpoints}")
    train = load_images(run.config.dataset).train
    data = hessian_data(run.config, train, run.config.hessian_samples)
    matrix = hessian(model_at(trained_run(run), step), F.cross_entropy, data)
    recomputed = fiedler_tree(matrix.numpy()).linkage[:, 2]
    return float(np.abs(stored_tree(run, step).linkage[:, 2] / recomputed - 1).max())


class _Recipe:
    """Computes the files that are missing of a run."""

    def __init__(
        self, run: Run[FiedlerConfig], trained: Run[MnistConfig], device: torch.device
    ) -> None:
        self.run = run
        self.trained = trained
        self.config = run.config
        self.device = device
        train = load_images(self.config.dataset).train
        self.train = Split(train.inputs.to(device), train.targets.to(device))
        layers = parameter_layers(model_at(trained, self.config.checkpoints[0]))
        self.layers = list(layers.values())

    def compute(self) -> None:
        for step in tqdm(self.config.checkpoints, desc="trees", unit="checkpoint", disable=None):
            self._keep("trees", tree_name(step), step, self._trees)
        for step in tqdm(self.config.chosen, desc="samples", unit="checkpoint", disable=None):
            self._keep("samples", samples_name(step), step, self._other_samples)
            self._keep("couplings", couplings_name(step), step, self._couplings)
        for step in tqdm(self.config.parts, desc="parts", unit="checkpoint", disable=None):
            self._keep("parts", parts_name(step), step, self._parts)
        for step in self.config.ends:
            self._keep("mixtures", mixtures_name(step), step, self._mixtures)
        if not self.run.has(RECOVERY):
            started = time.monotonic()
            found = recovery(PARTITIONS, NOISES, seeds=RECOVERY_SEEDS[self.config.dataset])
            self.run.write_arrays(RECOVERY, found)
            self.run.add_seconds("recovery", time.monotonic() - started)
        self.run.finish()

    def _keep(
        self, stage: str, name: str, step: int, compute: Callable[[int], dict[str, NDArray]]
    ) -> None:
        weights = self.trained.files[checkpoint_name(step)]
        self.run.keep_arrays(name, partial(compute, step), weights=weights, stage=stage)

    def _hessian(self, step: int, draw: int = 0) -> NDArray[np.float64]:
        """The Hessian over the run's samples, or over as many others."""
        if draw:
            config = self.config
            generator = np.random.default_rng((config.hessian_seed, 2, draw))
            order = generator.permutation(len(self.train.targets))[: config.hessian_samples]
            chosen = torch.from_numpy(order).to(self.device)
            data = Split(self.train.inputs[chosen], self.train.targets[chosen])
        else:
            data = self._samples()
        return hessian(self._model(step), F.cross_entropy, data).cpu().numpy()

    def _samples(self) -> Split:
        return hessian_data(self.config, self.train, self.config.hessian_samples)

    def _model(self, step: int) -> LeNetTiny:
        return model_at(self.trained, step).to(self.device)

    def _split(self, step: int, data: Split) -> HessianSplit:
        """Both parts of the Hessian over some samples, on the CPU."""
        split = hessian_split(self._model(step), F.cross_entropy, data)
        return HessianSplit(*(part.cpu() for part in split))

    def _trees(self, step: int) -> dict[str, NDArray]:
        matrix = self._hessian(step)
        tree = fiedler_tree(matrix)
        original = fiedler_tree(matrix, laplacian="combinatorial", split="median")
        layers = [algebraic_connectivity(matrix[np.ix_(rows, rows)]) for rows in self.layers]
        generator = np.random.default_rng((self.config.hessian_seed, 3, step))
        null = fiedler_tree(permuted_within_blocks(matrix, self.layers, generator))
        return (
            tree_arrays(tree)
            | {f"original_{name}": values for name, values in tree_arrays(original).items()}
            | {f"null_{name}": values for name, values in cut_arrays(null).items()}
            | {
                "connectivities": np.array([tree.connectivity[-1], *layers]),
                "null_connectivity": null.connectivity[-1:],
                "isolated": measures.isolated(matrix, self.layers),
            }
        )

    def _other_samples(self, step: int) -> dict[str, NDArray]:
        trees = [fiedler_tree(self._hessian(step, draw + 1)) for draw in range(OTHER_SAMPLES)]
        cuts = [cut_arrays(tree) for tree in trees]
        return {name: np.stack([cut[name] for cut in cuts]) for name in cuts[0]}

    def _parts(self, step: int) -> dict[str, NDArray]:
        split = self._split(step, self._samples())
        return measures.parts(split.gauss_newton.numpy(), split.residual.numpy())

    def _mixtures(self, step: int) -> dict[str, NDArray]:
        data = self._samples()
        split = self._split(step, data)
        generator = np.random.default_rng((self.config.hessian_seed, 4, step))
        order = torch.from_numpy(generator.permutation(len(data.targets))).to(self.device)
        other = self._split(step, Split(data.inputs, data.targets[order]))
        return measures.mixtures(
            split.gauss_newton.numpy(), split.residual.numpy(), other.residual.numpy()
        )

    def _couplings(self, step: int) -> dict[str, NDArray]:
        matrix = coupling_graph(self._hessian(step))
        orders = {
            "parameters": np.arange(len(matrix)),
            "tree": stored_tree(self.run, step).order,
        }
        bins = min(BINS, len(matrix))
        return {
            name: binned(matrix, order, bins=bins).astype(np.float32)
            for name, order in orders.items()
        }
