"""What came out of a grid of runs: arrays for figures, tables and claims.

W widths, ascending, S seeds, L layers: the inputs, the hidden layers and the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from hdlib.experiments.emergence.config import EmergenceConfig, EmergenceGrid
from hdlib.experiments.emergence.probing import HELD_OUT, TRUE
from hdlib.experiments.emergence.recipe import INPUTS, PROBES, RAW, TRAINING
from hdlib.measures.concepts import CONCEPTS
from hdlib.measures.probes import FOLDS
from hdlib.store import Run
from hdlib.training import steps_to

Array = NDArray[np.float64]

CHANCE = 0.5
RISE = 0.05
"""A score that gains less than this while a network trains has no half-way point."""
INTERVAL = 0.95


class EmergenceResults:
    """Scores of all probes of a grid, at the two ends of training.

    Attributes:
        grid: parameters.
        runs: (width, seed) → complete run.
        widths: (W,) int64, ascending.
    """

    def __init__(self, grid: EmergenceGrid, runs: Sequence[Run[EmergenceConfig]]) -> None:
        self.grid = grid
        self.runs = {(run.config.width, run.config.seed): run for run in runs}
        self.widths = np.sort(grid.widths)
        self._probes = {
            key: [run.arrays(PROBES, step) for step in (0, grid.n_steps)]
            for key, run in self.runs.items()
        }
        self._inputs = {key: run.arrays(RAW, INPUTS) for key, run in self.runs.items()}

    @property
    def layers(self) -> list[str]:
        """Names of the layers, the inputs first."""
        return [INPUTS, *next(iter(self.runs.values())).config.layers]

    def metric(self, concept: str) -> str:
        """The array that tells how well a concept is read off."""
        return "ranking_accuracy" if CONCEPTS[concept].rare else "balanced_accuracy"

    def scores(
        self, concept: str, kind: int = TRUE, *, rows: int = HELD_OUT, trained: bool = True
    ) -> Array:
        """Balanced accuracy of the probes, or area under the ROC curve for a rare concept.

        Args:
            concept: one of the grid's.
            kind: what they are asked for, `TRUE`, `RELABELLED` or `SHUFFLED`.
            rows: where they are scored, one of the sets of rows in `probing`.
            trained: whether networks are trained; before training where not.

        Returns:
            (W, S, L).

        Raises:
            ValueError: if the grid does not have the concept.
        """
        at, name = self.grid.concepts.index(concept), self.metric(concept)

        def of(key: tuple[int, int]) -> Array:
            found = [self._inputs[key], self._probes[key][trained]]
            return np.concatenate([arrays[name][at, kind, :, rows] for arrays in found])

        return self._stacked(of)

    def waves(self, *, trained: bool = True) -> Array:
        """R² of each frequency's cosine and sine on held-out pairs, (W, S, L, (p − 1)/2, 2)."""

        def of(key: tuple[int, int]) -> Array:
            found = [self._inputs[key], self._probes[key][trained]]
            return np.concatenate([arrays["waves"][:, HELD_OUT] for arrays in found])

        return self._stacked(of)

    def logged(self, column: str) -> Array:
        """A column of the histories at the end of training, (W, S)."""
        return self._stacked(lambda key: TRAINING.history(self.runs[key])[column][-1])

    def steps_to(self, accuracy: float) -> Array:
        """First logged step with such a test accuracy, (W, S); NaN where there is none."""

        def of(key: tuple[int, int]) -> float:
            step = steps_to(TRAINING.history(self.runs[key]), accuracy)
            return np.nan if step is None else float(step)

        return self._stacked(of)

    def _stacked(self, of: Callable[[tuple[int, int]], Array | float]) -> Array:
        """What each network, by its width and seed, has: (W, S, …)."""
        return np.array([[of((w, s)) for s in self.grid.seeds] for w in self.widths.tolist()])

    @property
    def fits(self) -> int:
        """How many logistic regressions these took, those of cross-validation among them."""
        candidates = len(self.grid.strengths)
        return self.probes * (1 if candidates == 1 else 1 + FOLDS * candidates)

    @property
    def probes(self) -> int:
        """How many probes of concepts and controls there are; of the inputs, one set a seed."""
        checkpoints = sum(len(run.config.probe_steps) for run in self.runs.values())
        layers = (len(self.layers) - 1) * checkpoints + len(self.grid.seeds)
        return 3 * len(self.grid.concepts) * layers


def interval(values: Array, axis: int = 1) -> tuple[Array, Array]:
    """Mean over seeds, and half of its 95% interval (Student's t); 0 for a single seed."""
    n = values.shape[axis]
    mean = values.mean(axis)
    if n == 1:
        return mean, np.zeros_like(mean)
    half = student.ppf((1 + INTERVAL) / 2, n - 1) * values.std(axis, ddof=1) / n**0.5
    return mean, half
