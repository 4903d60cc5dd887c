"""What is stored of a run, as arrays."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import FiedlerTree
from hdlib.curvature import ParameterLabels, parameter_labels
from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.fiedler.recipe import (
    COUPLINGS,
    EIGENVALUES,
    ORIGINALS,
    PLANTED,
    RECOVERY,
    SAMPLES,
    TREES,
)
from hdlib.experiments.fiedler.trees import as_tree
from hdlib.experiments.lenet import model_at
from hdlib.store import Run

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


class StoredTrees:
    """The trees of a complete run, and what is stored beside them.

    T checkpoints, n parameters, L layers.

    Attributes:
        run: the run.
        steps: (T,) int64.
        labels: what each parameter is.
        trees: T trees.
    """

    def __init__(self, run: Run[FiedlerConfig]) -> None:
        self.run = run
        self.steps = np.array(run.config.checkpoints)
        self.labels: ParameterLabels = parameter_labels(model_at(self.run, 0))
        self._arrays = [run.arrays(TREES, step) for step in run.config.checkpoints]
        self.trees = [as_tree(arrays) for arrays in self._arrays]

    def at(self, step: int) -> int:
        """Position of a checkpoint among all.

        Raises:
            ValueError: if ``step`` is none.
        """
        return self.run.config.checkpoints.index(step)

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return self.labels.layers

    @cached_property
    def chosen(self) -> dict[str, int]:
        """The checkpoints shown in detail: label → position among the checkpoints."""
        return {f"step {step:,}": self.at(step) for step in self.run.config.chosen}

    def eigenvalues(self, step: int) -> Array:
        """(n,) spectrum of the Hessian at a checkpoint whose parts have trees, ascending."""
        return self.run.arrays(EIGENVALUES, step)["eigenvalues"]

    @property
    def last_eigenvalues(self) -> Array:
        """(n,) spectrum of the last checkpoint."""
        return self.eigenvalues(int(self.steps[-1]))

    @cached_property
    def originals(self) -> dict[str, FiedlerTree]:
        """Combinatorial trees cut at the median, at the first and the last checkpoint."""
        stored = {step: self.run.arrays(ORIGINALS, step) for step in self.run.config.ends}
        return {f"step {step:,}": as_tree(arrays) for step, arrays in stored.items()}

    @cached_property
    def connectivities(self) -> dict[str, Array]:
        """λ₂ of the whole network and of each layer alone, (T,)."""
        values = np.stack([arrays["connectivities"] for arrays in self._arrays])
        return dict(zip(["network", *self.layers], values.T, strict=True))

    @cached_property
    def null_connectivity(self) -> Array:
        """(T,) λ₂ of the network with its couplings permuted within blocks of layers."""
        return np.array([arrays["null_connectivity"][0] for arrays in self._arrays])

    @cached_property
    def modules(self) -> list[IntArray]:
        """The cut of most modularity at each checkpoint, (n,) each."""
        return [tree.cut(tree.n_modules) for tree in self.trees]

    @cached_property
    def null_modules(self) -> list[IntArray]:
        """The null's cut of most modularity at each checkpoint, (n,) each."""
        return [arrays["null_modules"] for arrays in self._arrays]

    @cached_property
    def modularity(self) -> dict[str, Array]:
        """Most modularity of a cut, (T,), of the tree and of the null."""
        return {
            "tree": np.array([tree.modularity for tree in self.trees]),
            "null": np.array([float(arrays["null_modularity"]) for arrays in self._arrays]),
        }

    @cached_property
    def isolated(self) -> IntArray:
        """(T, L) number of parameters of each layer without any coupling."""
        return np.stack([arrays["isolated"] for arrays in self._arrays])

    def conductances(self, label: str) -> dict[str, Array]:
        """Conductance of the splits at the first or the last checkpoint, in order: three trees."""
        i, original = self.chosen[label], self.originals[label]
        return {
            "tree": self.trees[i].conductance[self.trees[i].splits],
            "null": self._arrays[i]["null_conductance"],
            "combinatorial and median": original.conductance[original.splits],
        }

    def sample_modules(self, position: int) -> IntArray:
        """Modules from other Hessian samples at a chosen checkpoint, (draws, n)."""
        return self.run.arrays(SAMPLES, int(self.steps[position]))["modules"]

    def couplings(self, step: int) -> dict[str, Array]:
        """Mean couplings at the first or the last checkpoint, (b, b), in two orders."""
        return self.run.arrays(COUPLINGS, step)

    @property
    def recovery(self) -> dict[str, NDArray]:
        """How well planted blocks are found, by each method (partitions, noises, seeds)."""
        return self.run.arrays(RECOVERY, PLANTED)

    def filters(self, layer: str) -> dict[str, Array]:
        """Weights of a convolution at the chosen checkpoints, (O, C, h, w)."""
        return {
            label: model_at(self.run, int(self.steps[i]))
            .get_parameter(f"{layer}.weight")
            .detach()
            .numpy()
            for label, i in self.chosen.items()
        }
