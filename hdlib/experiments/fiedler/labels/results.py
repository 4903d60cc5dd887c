"""What came out for true and for shuffled labels: modules of H and its parts, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import parameter_labels
from hdlib.experiments.fiedler.labels.config import FiedlerLabelsConfig, FiedlerLabelsGrid
from hdlib.experiments.fiedler.labels.recipe import EXPERIMENT, MODULES, NULLS, PARTS
from hdlib.experiments.fiedler.truths import agreement, label_sets
from hdlib.experiments.grid import run_grid
from hdlib.experiments.lenet import LABELLED_TRAINING, model_at
from hdlib.store import ArrayStage, Run

Array = NDArray[np.float64]
Network = tuple[int, bool]
"""Seed, and whether labels are shuffled."""

TRUE, SHUFFLED = "true labels", "shuffled labels"
LABELS = {TRUE: False, SHUFFLED: True}


class FiedlerLabelsResults:
    """Agreement of modules with what parameters are, for each network and each checkpoint.

    S seeds, T checkpoints with modules, U with those of the null; parts are H, G and R.

    Attributes:
        seeds: those of the runs, in their order.
        steps: (T,) int64, ascending.
        null_steps: (U,) int64, ascending.
        epoch: position among the steps of the end of the first epoch.
    """

    def __init__(self, runs: Sequence[Run[FiedlerLabelsConfig]]) -> None:
        self.runs = {(run.config.seed, run.config.shuffled_labels): run for run in runs}
        self.seeds = list(dict.fromkeys(seed for seed, _ in self.runs))
        self.steps = np.array(MODULES.steps(runs[0]))
        self.null_steps = np.array(NULLS.steps(runs[0]))
        self.epoch = int(np.searchsorted(self.steps, runs[0].config.steps_per_epoch))
        self.truths = label_sets(parameter_labels(model_at(runs[0], 0)))

    @property
    def compared(self) -> tuple[str, str]:
        """Names of the two sets of labels that modules follow: units and classes."""
        *_, units, classes = self.truths
        return units, classes

    def modules(self, network: Network, step: int) -> dict[str, NDArray[np.int64]]:
        """Part → (n,) module of each parameter."""
        stored = self.runs[network].arrays(MODULES, step)["modules"].astype(np.int64)
        return dict(zip(PARTS, stored, strict=True))

    def _agreement(self, stage: ArrayStage, steps: Array) -> Mapping[tuple[str, str, str], Array]:
        """(labels, part, truth) → (S, steps) adjusted Rand index."""
        found = {}
        for labels, shuffled in LABELS.items():
            stored = [
                [self.runs[seed, shuffled].arrays(stage, int(step))["modules"] for step in steps]
                for seed in self.seeds
            ]
            for at, part in enumerate(PARTS):
                for truth, known in self.truths.items():
                    found[labels, part, truth] = np.array(
                        [[agreement(each[at], known) for each in row] for row in stored]
                    )
        return found

    @cached_property
    def agreement(self) -> Mapping[tuple[str, str, str], Array]:
        """(labels, part, truth) → (S, T) adjusted Rand index of modules and truth."""
        return self._agreement(MODULES, self.steps)

    @cached_property
    def null_agreement(self) -> Mapping[tuple[str, str, str], Array]:
        """(labels, part, truth) → (S, U) the same of the null's modules."""
        return self._agreement(NULLS, self.null_steps)

    def _stored(self, stage: ArrayStage, steps: Array, name: str, labels: str) -> Array:
        return np.array(
            [
                [self.runs[seed, LABELS[labels]].arrays(stage, int(step))[name] for step in steps]
                for seed in self.seeds
            ]
        )

    @cached_property
    def ratios(self) -> dict[str, Array]:
        """Labels → (S, T) Σ|R| / Σ|G| off the diagonal."""
        totals = {labels: self._stored(MODULES, self.steps, "total", labels) for labels in LABELS}
        return {labels: total[..., 2] / total[..., 1] for labels, total in totals.items()}

    @cached_property
    def modularity_gain(self) -> dict[str, Array]:
        """Labels → (S, U, 3) modularity of H, G and R over that of their nulls."""
        return {
            labels: self._stored(MODULES, self.null_steps, "modularity", labels)
            / self._stored(NULLS, self.null_steps, "modularity", labels)
            for labels in LABELS
        }

    @cached_property
    def across_labels(self) -> dict[str, Array]:
        """Part → (S, T) agreement of a network's modules with those of its twin with other labels.

        Twins have the same weights at first, and the same images in the same order.
        """
        twins = [
            [
                (self.modules((seed, False), int(step)), self.modules((seed, True), int(step)))
                for step in self.steps
            ]
            for seed in self.seeds
        ]
        return {
            part: np.array([[agreement(a[part], b[part]) for a, b in row] for row in twins])
            for part in PARTS
        }

    @cached_property
    def accuracy(self) -> dict[str, Array]:
        """Labels → (S, T) accuracy on the test images, which keep their labels."""
        found = {}
        for labels, shuffled in LABELS.items():
            histories = [LABELLED_TRAINING.history(self.runs[s, shuffled]) for s in self.seeds]
            found[labels] = np.array(
                [h["test_accuracy"][np.searchsorted(h["step"], self.steps)] for h in histories]
            )
        return found


@cache
def published_labels() -> FiedlerLabelsResults:
    """Results of the published runs, read once."""
    return FiedlerLabelsResults(run_grid(EXPERIMENT, FiedlerLabelsGrid().configs))
