"""What came out of a run: arrays for figures, tables and claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.fiedler.config import SECOND, FiedlerConfig
from hdlib.experiments.fiedler.labels.results import FiedlerLabelsResults, published_labels
from hdlib.experiments.fiedler.recipe import run
from hdlib.experiments.fiedler.stored import StoredTrees
from hdlib.experiments.fiedler.truths import agreement, label_sets
from hdlib.measures import binned_shares

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

SUCCESSIVE = "this checkpoint and the one before"
SAMPLES = "other Hessian samples"


class FiedlerResults(StoredTrees):
    """What follows from the trees: modules beside labels, and their composition."""

    @property
    def chosen_linkages(self) -> dict[str, Array]:
        """Linkage matrices at the chosen checkpoints."""
        return {label: self.trees[i].linkage for label, i in self.chosen.items()}

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

    @property
    def uncoupled(self) -> IntArray:
        """(T,) number of parameters without any coupling."""
        return self.isolated.sum(1)

    @property
    def module_counts(self) -> IntArray:
        """(T,) number of modules, that of uncoupled parameters not counted."""
        return np.array([tree.n_modules for tree in self.trees]) - (self.uncoupled > 0)

    @cached_property
    def label_sets(self) -> dict[str, IntArray]:
        """Layers, units and classes: name → (n,) label of each parameter, −1 where it has none."""
        return label_sets(self.labels)

    @property
    def compared(self) -> tuple[str, str]:
        """Names of the two sets of labels that modules follow: units and classes."""
        *_, units, classes = self.label_sets
        return units, classes

    def agreement(self, clusters: IntArray, labels: IntArray) -> float:
        """Adjusted Rand index of clusters and labels, among the parameters that have a label."""
        return agreement(clusters, labels)

    @cached_property
    def label_agreement(self) -> dict[str, Array]:
        """Agreement of the modules with each set of labels, (T,)."""
        return self.with_labels(self.modules, self.label_sets)

    @cached_property
    def null_agreement(self) -> dict[str, Array]:
        """Agreement of the null's modules with each set of labels, (T,)."""
        return self.with_labels(self.null_modules, self.label_sets)

    @cached_property
    def sample_agreement(self) -> dict[str, Array]:
        """Mean agreement of the modules from other Hessian samples, (C,) at the chosen ones."""
        return {
            name: np.array([self._with_other_samples(i, labels) for i in self.chosen.values()])
            for name, labels in self.label_sets.items()
        }

    @cached_property
    def original_agreement(self) -> dict[str, Array]:
        """Agreement of `originals`' clusters, as many as there are modules, (2,)."""
        cuts = [
            tree.cut(self.trees[self.chosen[label]].n_modules)
            for label, tree in self.originals.items()
        ]
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
        return {SUCCESSIVE: self._successive(self.modules), SAMPLES: samples}

    def _with_other_samples(self, position: int, labels: IntArray) -> float:
        """Mean agreement of labels with the modules from other Hessian samples."""
        others = self.sample_modules(position)
        return float(np.mean([self.agreement(other, labels) for other in others]))

    @cached_property
    def null_stability(self) -> dict[str, Array]:
        """Agreement of the null's modules of successive checkpoints, (T,), NaN at the first."""
        return {SUCCESSIVE: self._successive(self.null_modules)}

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

    def matrices(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Mean couplings at the first and the last checkpoint, (b, b), and layers of the rows.

        Each in the order of the parameters and in that of the tree.
        """
        couplings, shares = {}, {}
        for step in self.run.config.ends:
            found, tree = self.couplings(step), self.trees[self.at(step)]
            orders = {"parameters": np.arange(tree.n_leaves), "tree": tree.order}
            for name, order in orders.items():
                panel = f"step {step:,}, order of the {name}"
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


@dataclass(frozen=True)
class PublishedFiedler:
    """Results of the two runs that are published with the book.

    Attributes:
        default: that of the config's defaults.
        second: the first epoch from another seed.
    """

    default: FiedlerResults
    second: FiedlerResults

    @property
    def labels(self) -> FiedlerLabelsResults:
        """Modules of H and its parts from several seeds, with true and with shuffled labels."""
        return published_labels()

    @property
    def both(self) -> tuple[FiedlerResults, FiedlerResults]:
        """Both, in the order of their seeds."""
        return self.default, self.second


@cache
def published() -> PublishedFiedler:
    """Results of the published runs, read when they are first asked for."""
    return PublishedFiedler(*(FiedlerResults(run(config)) for config in (FiedlerConfig(), SECOND)))
