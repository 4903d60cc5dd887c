"""One width through training: probes beside accuracy, and beside the top of the spectrum.

S seeds, T checkpoints with probes, U with spectra, L layers without the inputs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.emergence.probing import HELD_OUT, TRUE
from hdlib.experiments.emergence.recipe import DIRECTIONS, PROBES, SPECTRA, TRAINING
from hdlib.experiments.emergence.results import RISE, EmergenceResults
from hdlib.measures import GapTest, featureless_nulls, gap_test

Array = NDArray[np.float64]

READ = 0.25
"""A frequency counts as read off where the mean R² of its cosine and sine is greater: half of what
a layer has that holds one phase of it perfectly, and nothing of the other."""
KEY = 0.01
"""A frequency is key where it has more than so much of the logits' variance."""
SINGLE = 0.5
"""An eigenvector moves one frequency where that has more than so much of the energy of J v."""


class FollowedResults:
    """What happens in the networks of the followed width.

    Attributes:
        results: the grid.
        width: the width.
        steps: (T,) checkpoints with probes.
        spectrum_steps: (U,) those with spectra.

    Raises:
        ValueError: if the grid has no spectra.
    """

    def __init__(self, results: EmergenceResults) -> None:
        self.results, self.width = results, results.grid.followed
        self.runs = [results.runs[self.width, seed] for seed in results.grid.seeds]
        config = self.runs[0].config
        if not config.spectra:
            raise ValueError("the grid has no spectra: spectra=0; at least 1 is needed")
        self.steps = np.array(config.probe_steps)
        self.spectrum_steps = np.array(config.spectrum_steps)
        self._probes = [
            [run.arrays(PROBES, step) for step in config.probe_steps] for run in self.runs
        ]
        self._spectra = [
            [run.arrays(SPECTRA, step) for step in config.spectrum_steps] for run in self.runs
        ]

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return self.results.layers[1:]

    def scores(self, concept: str, kind: int = TRUE) -> Array:
        """Scores on held-out pairs, (S, T, L), as `EmergenceResults.scores` has them."""
        at, name = self.results.grid.concepts.index(concept), self.results.metric(concept)
        return np.array(
            [[arrays[name][at, kind, :, HELD_OUT] for arrays in found] for found in self._probes]
        )

    @cached_property
    def waves(self) -> Array:
        """R² of each frequency on held-out pairs, mean of cosine and sine, (S, T, L, (p − 1)/2)."""
        found = [[arrays["waves"][:, HELD_OUT] for arrays in each] for each in self._probes]
        return np.array(found).mean(-1)

    @cached_property
    def shares(self) -> Array:
        """Share of each frequency in the variance of the logits, (S, T, (p − 1)/2)."""
        return np.array([[arrays["logit_power"] for arrays in found] for found in self._probes])

    def logged(self, column: str, steps: NDArray[np.int64]) -> Array:
        """A column of the histories at some of the logged steps, (S, len(steps))."""
        found = []
        for run in self.runs:
            history = TRAINING.history(run)
            found.append(history[column][np.searchsorted(history["step"], steps)])
        return np.array(found)

    @cached_property
    def accuracy(self) -> Array:
        """Accuracy on all test pairs, (S, T)."""
        return self.logged("test_accuracy", self.steps)

    def lags(self, scores: Array) -> Array:
        """Half-way step of scores less that of the test accuracy, (S, L): negative where they lead.

        Half-way is where a curve, straight between checkpoints, first gets to the middle of its
        value before training and that at the end. NaN where it does not rise.

        Args:
            scores: (S, T, L).
        """
        reference = np.array([halfway(self.steps, curve) for curve in self.accuracy])
        each = [[halfway(self.steps, curve) for curve in found.T] for found in scores]
        return np.array(each) - reference[:, None]

    @property
    def key(self) -> NDArray[np.bool_]:
        """Frequencies with more than 1% of the logits' variance at the end, (S, F)."""
        return self.shares[:, -1] > KEY

    @property
    def mean_read(self) -> Array:
        """Mean R², or 0 where it is negative, of the frequencies read at the end, (S, T, L)."""
        return np.stack(
            [
                np.clip(waves[..., read], 0, 1).sum(-1) / max(read.sum(), 1)
                for waves, read in zip(self.waves, self.read, strict=True)
            ]
        )

    @property
    def eigenvalues(self) -> Array:
        """Leading eigenvalues, the largest first, (S, U, k)."""
        return np.array([[arrays["eigenvalues"] for arrays in found] for found in self._spectra])

    @property
    def moved(self) -> Array:
        """Share of each frequency in what the eigenvectors do to the logits, (S, U, k, F)."""
        return np.array([[arrays["frequencies"] for arrays in found] for found in self._spectra])

    @property
    def moved_at_random(self) -> Array:
        """The same of as many random directions, (S, U, k, F)."""
        return np.array(
            [
                [
                    run.arrays(DIRECTIONS, step)["frequencies"]
                    for step in self.spectrum_steps.tolist()
                ]
                for run in self.runs
            ]
        )

    @property
    def read(self) -> NDArray[np.bool_]:
        """Frequencies whose waves can be read off the last hidden layer at the end, (S, F)."""
        return self.waves[:, -1, -2] > READ

    def at_read(self, moved: Array) -> Array:
        """Share of these frequencies in what each direction does, (S, U, k)."""
        return np.einsum("sukf,sf->suk", moved, self.read)

    @cached_property
    def gaps(self) -> list[list[GapTest]]:
        """At each checkpoint of each seed, the widest gap among the leading eigenvalues."""
        return [
            [gap_test(values, featureless_nulls()) for values in found]
            for found in self.eigenvalues
        ]

    @property
    def outliers(self) -> NDArray[np.int64]:
        """Eigenvalues above a gap that featureless spectra do not have, (S, U); 0 for no gap."""
        return np.array([[g.rank if g.stands_out else 0 for g in each] for each in self.gaps])

    @property
    def settled(self) -> NDArray[np.int64]:
        """Checkpoint from which on there are as many outliers as at the end, (S,)."""
        same = self.outliers == self.outliers[:, -1:]
        return self.spectrum_steps[-same[:, ::-1].cumprod(1).sum(1)]


def halfway(steps: NDArray[np.int64], curve: Array) -> float:
    """Where a curve first gets to the middle of its two ends; NaN if it hardly rises.

    Args:
        steps: (T,), ascending.
        curve: (T,) values, joined by straight lines.
    """
    first, last = curve[0], curve[-1]
    if last - first < RISE:
        return float("nan")
    middle = (first + last) / 2
    after = int(np.flatnonzero(curve >= middle)[0])
    low, high = curve[after - 1], curve[after]
    return float(steps[after - 1] + (middle - low) / (high - low) * np.diff(steps)[after - 1])
