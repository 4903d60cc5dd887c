"""LeNet-tiny's parameters grouped by their couplings, over the checkpoints of its MNIST run."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

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
from hdlib.experiments import fiedler_parts
from hdlib.experiments.lenet import log_spaced
from hdlib.experiments.mnist import recipe as mnist
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.mnist.recipe import hessian_data, model_at
from hdlib.measures import binned
from hdlib.models import LeNetTiny
from hdlib.runs import Run
from hdlib.tasks import Split, load_images
from hdlib.training import checkpoint_name

CHOSEN = 4
"""Checkpoints shown in detail, evenly in log(1 + step)."""
OTHER_SAMPLES = 2
"""Further draws of Hessian samples at the chosen checkpoints."""
EARLY = 50
"""Up to this step every checkpoint has trees of the Hessian's parts."""
CLUSTERS = (2, 5, 10, 20, 50)
"""Cuts of which the members are kept where the tree is not."""
BINS = 200
"""Of the picture of the couplings."""
RECOVERY = "recovery.safetensors"
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
RECOVERY_SEEDS = {"mnist": 20, "digits": 2}
"""Planted Hessians of each kind; few where the run is a small one."""


class FiedlerConfig(MnistConfig):
    """The MNIST run whose parameters are grouped: the same fields, and so the same key."""

    experiment: ClassVar[str] = "fiedler"

    @property
    def trained(self) -> MnistConfig:
        """The config of the MNIST run."""
        return MnistConfig(**self.model_dump())

    @property
    def key(self) -> str:
        """That of the MNIST run."""
        return self.trained.key

    @property
    def chosen(self) -> list[int]:
        """Checkpoints shown in detail."""
        return log_spaced(self.checkpoints, CHOSEN)

    @property
    def parts(self) -> list[int]:
        """Checkpoints at which the two parts of the Hessian have trees of their own."""
        return sorted({*self.chosen, *(step for step in self.checkpoints if step <= EARLY)})


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
        Those of `hdlib.experiments.mnist.recipe.run`.
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
    arrays = run.arrays(tree_name(step))
    rest = (arrays[f"{prefix}{name}"] for name in ("connectivity", "conductance", "gain"))
    linkage = stored_linkage(arrays, prefix)
    return FiedlerTree(linkage, *(values.astype(np.float64) for values in rest))


def stored_linkage(arrays: dict[str, NDArray], prefix: str) -> NDArray[np.float64]:
    """A SciPy linkage, (n − 1, 4), from the merges and heights that are stored with a prefix."""
    parts = arrays[f"{prefix}parts"].astype(np.int64)
    sizes = np.ones(2 * len(parts) + 1)
    for row, pair in enumerate(parts):
        sizes[len(parts) + 1 + row] = sizes[pair].sum()
    linkage = np.empty((len(parts), 4))
    linkage[:, :2], linkage[:, 2] = parts, arrays[f"{prefix}height"]
    linkage[:, 3] = sizes[len(parts) + 1 :]
    return linkage


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
    """From config to run: computes the files that are missing."""

    def __init__(
        self, run: Run[FiedlerConfig], trained: Run[MnistConfig], device: torch.device
    ) -> None:
        self.run = run
        self.trained = trained
        self.config = run.config
        self.device = device
        train = load_images(self.config.dataset).train
        self.train = Split(train.inputs.to(device), train.targets.to(device))
        self.layers = parameter_layers(model_at(trained, self.config.checkpoints[0]))

    def compute(self) -> None:
        for step in tqdm(self.config.checkpoints, desc="trees", unit="checkpoint", disable=None):
            self._keep("trees", tree_name(step), step, self._trees)
        for step in tqdm(self.config.chosen, desc="samples", unit="checkpoint", disable=None):
            self._keep("samples", samples_name(step), step, self._other_samples)
            self._keep("couplings", couplings_name(step), step, self._couplings)
        for step in tqdm(self.config.parts, desc="parts", unit="checkpoint", disable=None):
            self._keep("parts", parts_name(step), step, self._parts)
        for step in (self.config.checkpoints[0], self.config.checkpoints[-1]):
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
        layers = [
            algebraic_connectivity(matrix[np.ix_(rows, rows)]) for rows in self.layers.values()
        ]
        generator = np.random.default_rng((self.config.hessian_seed, 3, step))
        null = fiedler_tree(permuted_within_blocks(matrix, list(self.layers.values()), generator))
        return (
            _stored(tree)
            | {f"original_{name}": values for name, values in _stored(original).items()}
            | {f"null_{name}": values for name, values in _cuts(null).items()}
            | {
                "connectivities": np.array([tree.connectivity[-1], *layers]),
                "null_connectivity": null.connectivity[-1:],
                "isolated": _isolated(matrix, list(self.layers.values())),
            }
        )

    def _other_samples(self, step: int) -> dict[str, NDArray]:
        cuts = [_cuts(fiedler_tree(self._hessian(step, draw + 1))) for draw in range(OTHER_SAMPLES)]
        return {name: np.stack([cut[name] for cut in cuts]) for name in cuts[0]}

    def _parts(self, step: int) -> dict[str, NDArray]:
        split = self._split(step, self._samples())
        return fiedler_parts.parts(split.gauss_newton.numpy(), split.residual.numpy())

    def _mixtures(self, step: int) -> dict[str, NDArray]:
        data = self._samples()
        split = self._split(step, data)
        generator = np.random.default_rng((self.config.hessian_seed, 4, step))
        order = torch.from_numpy(generator.permutation(len(data.targets))).to(self.device)
        other = self._split(step, Split(data.inputs, data.targets[order]))
        return fiedler_parts.mixtures(
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


def _isolated(matrix: NDArray[np.float64], layers: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Parameters of each layer without any coupling, (L,)."""
    coupled = (matrix != 0).sum(0) - (matrix.diagonal() != 0)
    return np.array([int((coupled[rows] == 0).sum()) for rows in layers])


def _stored(tree: FiedlerTree) -> dict[str, NDArray]:
    return {
        "parts": tree.linkage[:, :2].astype(np.int32),
        "height": tree.linkage[:, 2],
        "connectivity": tree.connectivity.astype(np.float32),
        "conductance": tree.conductance.astype(np.float32),
        "gain": tree.gain.astype(np.float32),
    }


def _cuts(tree: FiedlerTree) -> dict[str, NDArray]:
    """Clusters of the cut with most modularity, then of the others; first conductances."""
    numbers = [tree.n_modules, *(min(k, tree.n_leaves) for k in CLUSTERS)]
    return {
        "cuts": np.stack([tree.cut(k) for k in numbers]).astype(np.int16),
        "modularity": np.array(tree.modularity),
        "conductance": tree.conductance[tree.splits][: max(CLUSTERS) - 1],
    }
