"""What the Fiedler chapter shows of its run: arrays for the figures, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from hdlib.clustering import FiedlerTree
from hdlib.curvature import ParameterLabels, parameter_labels
from hdlib.display import Markdown, table
from hdlib.experiments.fiedler import (
    CLUSTERS,
    FiedlerConfig,
    couplings_name,
    samples_name,
    stored_tree,
    trained_run,
    tree_name,
)
from hdlib.experiments.mnist.recipe import model_at, spectrum_name
from hdlib.measures import binned_shares
from hdlib.runs import Run
from hdlib.training import HISTORY

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

SUCCESSIVE = "this checkpoint and the one before"
SAMPLES = "other Hessian samples"
FINEST = 10
"""Clusters described one by one."""


class FiedlerResults:
    """Everything the chapter shows, read from a complete run.

    T checkpoints, n parameters, L layers.

    Attributes:
        run: the run.
        steps: (T,) int64.
        labels: what each parameter is.
    """

    def __init__(self, run: Run[FiedlerConfig]) -> None:
        self.run = run
        self.trained = trained_run(run)
        self.steps = np.array(run.config.checkpoints)
        self.labels: ParameterLabels = parameter_labels(model_at(self.trained, 0))
        self._arrays = [run.arrays(tree_name(step)) for step in run.config.checkpoints]
        self.trees = [stored_tree(run, step) for step in run.config.checkpoints]

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return self.labels.layers

    @cached_property
    def chosen(self) -> dict[str, int]:
        """The checkpoints shown in detail: label → position among the checkpoints."""
        steps = self.run.config.checkpoints
        return {f"step {step:,}": steps.index(step) for step in self.run.config.chosen}

    @property
    def chosen_linkages(self) -> dict[str, Array]:
        """Linkage matrices at the chosen checkpoints."""
        return {label: self.trees[i].linkage for label, i in self.chosen.items()}

    @property
    def last_eigenvalues(self) -> Array:
        """(n,) spectrum of the last checkpoint."""
        return self.trained.arrays(spectrum_name(int(self.steps[-1])))["eigenvalues"]

    @cached_property
    def originals(self) -> dict[str, FiedlerTree]:
        """Combinatorial trees cut at the median, at the first and the last checkpoint."""
        ends = {label: i for label, i in self.chosen.items() if i in (0, len(self.steps) - 1)}
        return {
            label: stored_tree(self.run, int(self.steps[i]), "original_")
            for label, i in ends.items()
        }

    @property
    def compared_linkages(self) -> dict[str, Array]:
        """Both kinds of tree at the first and the last checkpoint."""
        return {
            f"{label}: {kind}": tree.linkage
            for label, original in self.originals.items()
            for kind, tree in (
                ("normalised, least normalised cut", self.trees[self.chosen[label]]),
                ("combinatorial, median", original),
            )
        }

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

    def uncoupled(self, position: int) -> int:
        """Number of parameters without any coupling at a checkpoint."""
        return int(self._arrays[position]["isolated"].sum())

    def module_count(self, position: int) -> int:
        """Number of modules at a checkpoint, that of uncoupled parameters not counted."""
        return self.trees[position].n_modules - (self.uncoupled(position) > 0)

    @cached_property
    def modularity(self) -> dict[str, Array]:
        """Most modularity of a cut, (T,), of the tree and of the null."""
        return {
            "tree": np.array([tree.modularity for tree in self.trees]),
            "null": np.array([float(arrays["null_modularity"]) for arrays in self._arrays]),
        }

    @cached_property
    def label_sets(self) -> dict[str, IntArray]:
        """Layers, units and classes: name → (n,) label of each parameter, −1 where it has none."""
        first, second, *_, last = self.layers
        classes = np.where(self.labels.layer == self.layers.index(last), self.labels.output, -1)
        return {
            "layers": self.labels.layer,
            f"units of {first}": self.labels.units(first),
            f"units of {second}": self.labels.units(second),
            f"classes of {last}": classes,
        }

    @property
    def compared(self) -> tuple[str, str]:
        """Names of the two sets of labels that modules follow: units and classes."""
        *_, units, classes = self.label_sets
        return units, classes

    def agreement(self, clusters: IntArray, labels: IntArray) -> float:
        """Adjusted Rand index of clusters and labels, among the parameters that have a label."""
        known = labels >= 0
        return float(adjusted_rand_score(labels[known], clusters[known]))

    @cached_property
    def label_agreement(self) -> dict[str, Array]:
        """Agreement of the modules with each set of labels, (T,)."""
        return self.with_labels(self.modules, self.label_sets)

    @cached_property
    def null_agreement(self) -> dict[str, Array]:
        """The same of the null's modules."""
        cuts = [arrays["null_cuts"][0] for arrays in self._arrays]
        return self.with_labels(cuts, self.label_sets)

    def with_labels(self, cuts: Sequence[IntArray], names: Iterable[str]) -> dict[str, Array]:
        """Agreement of each of C groupings with the sets of labels of these names, (C,) each."""
        return {
            name: np.array([self.agreement(cut, self.label_sets[name]) for cut in cuts])
            for name in names
        }

    @cached_property
    def stability(self) -> dict[str, Array]:
        """Agreement of the modules of successive checkpoints, (T,), NaN at the first.

        And with those from other Hessian samples, at the chosen checkpoints, NaN elsewhere.
        """
        samples = np.full(len(self.steps), np.nan)
        for i in self.chosen.values():
            samples[i] = self._with_other_samples(i, self.modules[i])
        return {
            SUCCESSIVE: self._successive(self.modules),
            SAMPLES: samples,
        }

    def _with_other_samples(self, position: int, labels: IntArray) -> float:
        """Mean agreement of labels with the modules from other Hessian samples."""
        others = self.run.arrays(samples_name(int(self.steps[position])))["cuts"][:, 0]
        return float(np.mean([self.agreement(other, labels) for other in others]))

    @cached_property
    def null_stability(self) -> dict[str, Array]:
        """The same of the null, between successive checkpoints."""
        return {SUCCESSIVE: self._successive([arrays["null_cuts"][0] for arrays in self._arrays])}

    def _successive(self, cuts: list[IntArray]) -> Array:
        return np.array([np.nan, *(self.agreement(a, b) for a, b in pairwise(cuts))])

    def shares(self, clusters: IntArray) -> tuple[Array, IntArray]:
        """Share of each layer in each cluster, (k, L), and the clusters' sizes, (k,)."""
        counts = np.zeros((clusters.max() + 1, len(self.layers)), dtype=np.int64)
        np.add.at(counts, (clusters, self.labels.layer), 1)
        return counts / counts.sum(1, keepdims=True), counts.sum(1)

    def module_shares(self) -> tuple[dict[str, Array], dict[str, IntArray]]:
        """Composition and sizes of the modules at the chosen checkpoints."""
        found = {label: self.shares(self.modules[i]) for label, i in self.chosen.items()}
        return {k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()}

    def cut_shares(self, position: int) -> tuple[dict[str, Array], dict[str, IntArray]]:
        """Composition and sizes of the clusters of the cuts into k at a checkpoint."""
        tree = self.trees[position]
        found = {f"k = {k}": self.shares(tree.cut(k)) for k in CLUSTERS[:-1] if k <= tree.n_leaves}
        return {k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()}

    def matrices(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Mean couplings at the first and the last checkpoint, (b, b), and layers of the rows.

        Each in the order of the parameters and in that of the tree.
        """
        couplings, shares = {}, {}
        for label, i in self.chosen.items():
            if i not in (0, len(self.steps) - 1):
                continue
            found = self.run.arrays(couplings_name(int(self.steps[i])))
            orders = {"parameters": np.arange(self.trees[i].n_leaves), "tree": self.trees[i].order}
            for name, order in orders.items():
                panel = f"{label}, order of the {name}"
                couplings[panel] = found[name]
                shares[panel] = binned_shares(self.labels.layer, order, bins=len(found[name]))
        return couplings, shares

    @property
    def merge_measures(self) -> dict[str, Array]:
        """λ₂ of each cluster and conductance of its cut, (T, n − 1)."""
        return {
            "λ₂": np.stack([tree.connectivity for tree in self.trees]),
            "conductance": np.stack([tree.conductance for tree in self.trees]),
        }

    def describe(self, _: int, members: IntArray) -> str:
        """A cluster's members in words, a line for each layer."""
        return "<br>".join(self.labels.describe(members))

    def filters(self, layer: str) -> dict[str, Array]:
        """Weights of a convolution at the chosen checkpoints, (O, C, h, w)."""
        return {
            label: model_at(self.trained, int(self.steps[i]))
            .get_parameter(f"{layer}.weight")
            .detach()
            .numpy()
            for label, i in self.chosen.items()
        }

    def filter_modules(self, layer: str) -> dict[str, IntArray]:
        """The module with most of each filter's parameters at the chosen checkpoints, (O,)."""
        own = self.labels.layer == self.layers.index(layer)
        filters = range(self.labels.output[own].max() + 1)
        return {
            label: np.array(
                [
                    np.bincount(self.modules[i][own & (self.labels.output == filter_)]).argmax()
                    for filter_ in filters
                ]
            )
            for label, i in self.chosen.items()
        }

    def summary_table(self) -> Markdown:
        """The chosen checkpoints at a glance."""
        history = self.trained.table(HISTORY)
        header = (
            "step",
            "test accuracy",
            "λ₂",
            "λ₂, null",
            "modules",
            "modularity",
            "modularity, null",
            "uncoupled parameters",
        )
        rows = []
        for i in self.chosen.values():
            at = int(np.flatnonzero(history["step"] == self.steps[i])[0])
            rows.append(
                (
                    f"{self.steps[i]:,}",
                    f"{history['test_accuracy'][at]:.2%}",
                    f"{self.connectivities['network'][i]:.2f}",
                    f"{self.null_connectivity[i]:.2f}",
                    self.module_count(i),
                    f"{self.modularity['tree'][i]:.3f}",
                    f"{self.modularity['null'][i]:.3f}",
                    self.uncoupled(i),
                )
            )
        return table(header, rows)

    def module_table(self, position: int) -> Markdown:
        """The largest modules at a checkpoint, in words: `ParameterLabels.describe`."""
        modules = self.modules[position]
        rows = []
        for module in range(min(FINEST, modules.max() + 1)):
            members = np.flatnonzero(modules == module)
            words = "; ".join(self.labels.describe(members))
            rows.append((module + 1, f"{len(members):,}", words))
        return table(("module", "parameters", "of each layer"), rows, numbers=False)

    def agreement_table(self) -> Markdown:
        """Agreement with each set of labels at the chosen checkpoints.

        Of the modules, of those from other Hessian samples, of the null's, and of the original
        tree's clusters, as many.
        """
        header = ("agreement with", *self.chosen)
        originals = {
            label: tree.cut(self.trees[self.chosen[label]].n_modules)
            for label, tree in self.originals.items()
        }
        rows = []
        for name, labels in self.label_sets.items():
            ours, null = self.label_agreement[name], self.null_agreement[name]
            rows.append((name, *(index(ours[i]) for i in self.chosen.values())))
            others = [self._with_other_samples(i, labels) for i in self.chosen.values()]
            rows.append((f"{name}, other samples", *(index(other) for other in others)))
            rows.append((f"{name}, null", *(index(null[i]) for i in self.chosen.values())))
            theirs = (
                index(self.agreement(originals[label], labels)) if label in originals else ""
                for label in self.chosen
            )
            rows.append((f"{name}, combinatorial and median", *theirs))
        return table(header, rows)

    def conductance_table(self, count: int = 8) -> Markdown:
        """Conductance of the first splits at the ends of training: tree, null and original."""
        rows = []
        for label, original in self.originals.items():
            i = self.chosen[label]
            kinds = {
                "tree": self.trees[i].conductance[self.trees[i].splits],
                "null": self._arrays[i]["null_conductance"],
                "combinatorial and median": original.conductance[original.splits],
            }
            for kind, values in kinds.items():
                shown = [f"{value:.2f}" for value in values[:count]]
                rows.append((f"{label}, {kind}", *shown, *[""] * (count - len(shown))))
        return table(("conductance of split", *map(str, range(1, count + 1))), rows)


def index(value: float) -> str:
    """An adjusted Rand index in two digits, without a sign where they are zero."""
    return f"{round(value, 2) + 0.0:.2f}"
