"""What came out for true and for shuffled labels: the ninth gap, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grid import run_grid
from hdlib.experiments.lenet import LABELLED_TRAINING
from hdlib.experiments.mnist.gaps import PREDICTED, predicted, searched
from hdlib.experiments.mnist.labels.config import LARGE, MnistLabelsConfig, MnistLabelsGrid
from hdlib.experiments.mnist.labels.recipe import EXPERIMENT, READOUT, TOPS
from hdlib.measures import GapTest
from hdlib.store import Run

Array = NDArray[np.float64]
Network = tuple[int, bool]
"""Seed, and whether labels are shuffled."""

TRUE, SHUFFLED = "true labels", "shuffled labels"
LABELS = {TRUE: False, SHUFFLED: True}


class MnistLabelsResults:
    """The ninth gap of each network at each checkpoint, tested alone.

    S seeds, T checkpoints.

    Attributes:
        seeds: those of the runs, in their order.
        steps: (T,) int64.
        images: of the Hessians at all of them.
    """

    def __init__(self, runs: Sequence[Run[MnistLabelsConfig]]) -> None:
        self.runs = {(run.config.seed, run.config.shuffled_labels): run for run in runs}
        self.seeds = list(dict.fromkeys(seed for seed, _ in self.runs))
        self.steps = np.array(runs[0].config.checkpoints)
        self.images = runs[0].config.hessian_samples

    def at(self, step: int) -> int:
        """Position of a checkpoint.

        Raises:
            ValueError: if ``step`` is not one.
        """
        return self.steps.tolist().index(step)

    def eigenvalues(self, network: Network, step: int, samples: int | None = None) -> Array:
        """The largest eigenvalues, ascending: of the run's own number of images by default."""
        run = self.runs[network]
        return run.arrays(TOPS, (step, samples or run.config.hessian_samples))["eigenvalues"]

    @cached_property
    def gaps(self) -> dict[Network, list[GapTest]]:
        """Network → T tests of the gap below rank nine."""
        return {
            network: [predicted(self.eigenvalues(network, int(step))) for step in self.steps]
            for network in self.runs
        }

    @cached_property
    def searches(self) -> dict[Network, list[GapTest]]:
        """Network → T searches for the gap with the highest score among the top 100."""
        return {
            network: [searched(self.eigenvalues(network, int(step))) for step in self.steps]
            for network in self.runs
        }

    @cached_property
    def by_size(self) -> dict[tuple[str, int, int], list[GapTest]]:
        """(labels, checkpoint, images) → the test of each seed that has so many.

        At the checkpoints at which there are Hessians over more images than at the others.
        """
        found: dict[tuple[str, int, int], list[GapTest]] = {}
        for labels, step in product(LABELS, LARGE):
            for seed in self.seeds:
                network = seed, LABELS[labels]
                for at, samples in self.runs[network].config.spectra:
                    if at == step:
                        test = predicted(self.eigenvalues(network, step, samples))
                        found.setdefault((labels, step, samples), []).append(test)
        return found

    def _stacked(self, labels: str, values: dict[Network, list[float]]) -> Array:
        return np.array([values[seed, LABELS[labels]] for seed in self.seeds])

    @cached_property
    def scores(self) -> dict[str, Array]:
        """Labels → (S, T) score of the ninth gap."""
        values = {network: [gap.score for gap in gaps] for network, gaps in self.gaps.items()}
        return {labels: self._stacked(labels, values) for labels in LABELS}

    @cached_property
    def calibrated(self) -> dict[str, Array]:
        """Labels → (S, T) the same over what it needs to stand out: it does above 1."""
        values = {
            network: [gap.score / gap.threshold[1] for gap in gaps]
            for network, gaps in self.gaps.items()
        }
        return {labels: self._stacked(labels, values) for labels in LABELS}

    @property
    def standing(self) -> dict[str, NDArray[np.bool_]]:
        """Labels → (S, T) whether the ninth gap stands out, tested alone."""
        return {labels: values > 1 for labels, values in self.calibrated.items()}

    @cached_property
    def found(self) -> dict[str, NDArray[np.bool_]]:
        """Labels → (S, T) whether a search finds the ninth gap, and it stands out."""
        values = {
            network: [float(gap.stands_out and gap.rank == PREDICTED) for gap in gaps]
            for network, gaps in self.searches.items()
        }
        return {labels: self._stacked(labels, values) > 0 for labels in LABELS}

    def readout(self, name: str, labels: str) -> Array:
        """(S, T, m) "block", "outputs" or "features" of `readout_curvature`, descending."""
        return np.array(
            [
                [
                    self.runs[seed, LABELS[labels]].arrays(READOUT, int(step))[name]
                    for step in self.steps
                ]
                for seed in self.seeds
            ]
        )

    @cached_property
    def apart(self) -> dict[str, Array]:
        """Labels → (S, T) how far the read-out's nine are from outputs times one feature.

        Largest relative difference of the nine largest eigenvalues of its block, and those of
        E[diag p − ppᵀ] times the largest of E[hhᵀ].
        """
        found = {}
        for labels in LABELS:
            nine = self.readout("outputs", labels)[..., :PREDICTED]
            product = nine * self.readout("features", labels)[..., :1]
            block = self.readout("block", labels)[..., :PREDICTED]
            found[labels] = np.abs(product / block - 1).max(-1)
        return found

    @cached_property
    def shared(self) -> dict[str, Array]:
        """Labels → (S, T) largest eigenvalue of E[hhᵀ] over the second: one shared direction."""
        found = {labels: self.readout("features", labels) for labels in LABELS}
        return {labels: values[..., 0] / values[..., 1] for labels, values in found.items()}

    @cached_property
    def accuracy(self) -> dict[str, Array]:
        """Labels → (S, T) accuracy on the test images, which keep their labels."""
        values = {}
        for network, run in self.runs.items():
            history = LABELLED_TRAINING.history(run)
            at = np.searchsorted(history["step"], self.steps)
            values[network] = history["test_accuracy"][at].tolist()
        return {labels: self._stacked(labels, values) for labels in LABELS}


def paired_p(differences: Array) -> float:
    """In what part of all choices of signs the mean of paired differences is as high, one-sided.

    The exact test of whether two kinds of networks that share their seeds differ: without a
    difference each sign is as likely as the other (Fisher 1935).

    Args:
        differences: (S,), one for each seed; 2^S choices are gone through.
    """
    signs = np.array(list(product([1, -1], repeat=len(differences))))
    return float(((signs * differences).mean(1) >= differences.mean() - 1e-12).mean())


@cache
def published_labels() -> MnistLabelsResults:
    """Results of the published runs, read once."""
    return MnistLabelsResults(run_grid(EXPERIMENT, MnistLabelsGrid().configs))
