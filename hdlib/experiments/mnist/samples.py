"""How the MNIST chapter's spectra hang on the training samples in the Hessian."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.mnist.gaps import CLASSES, searched
from hdlib.experiments.mnist.recipe import DRAWS, SWEEP
from hdlib.measures import spectral_summary
from hdlib.store import Run

Array = NDArray[np.float64]

LARGEST = "largest eigenvalue"
GAP = "gap to the next"
RANK = "rank of the highest score"
SCORE = "highest score of 100"
CARRY = "images that carry λ"
SMALL = "eigenvalues with |λ| < 0.01"
QUOTED = {LARGEST: 52.1, GAP: 39.8, SMALL: 5_075}
"""The original work's headline: step 14,070, test accuracy 98.6%, Hessian over 50 samples."""


def headline(eigenvalues: Array) -> dict[str, float]:
    """The numbers of the original work's headline, for a spectrum in ascending order."""
    return {
        LARGEST: float(eigenvalues[-1]),
        GAP: float(eigenvalues[-1] - eigenvalues[-2]),
        SMALL: spectral_summary(eigenvalues).n_small,
    }


class SampleResults:
    """Spectra from more and fewer training samples, and from independent draws.

    S steps and N sizes of the sample sweep, n parameters.

    Attributes:
        run: the run.
        quoted: the original work's headline.
    """

    quoted = QUOTED

    def __init__(self, run: Run[MnistConfig]) -> None:
        self.run = run

    @cached_property
    def _sweep(self) -> list[list[dict[str, NDArray]]]:
        config = self.run.config
        if not config.sweep_steps:
            raise ValueError("this run has no sample sweep: sweep_checkpoints=0; at least 1 needed")
        return [
            [self.run.arrays(SWEEP, (step, n)) for n in config.sweep_sizes]
            for step in config.sweep_steps
        ]

    @cached_property
    def eigenvalues(self) -> Array:
        """(S, N, n), ascending, by number of samples."""
        return np.array([[entry["eigenvalues"] for entry in row] for row in self._sweep])

    @property
    def gradients(self) -> Array:
        """(S, N) fraction of the full gradient's squared norm in the top-10 eigenspace."""
        cosines = [[entry["gradient_cosines"] for entry in row] for row in self._sweep]
        return np.array(cosines)[..., -CLASSES:].sum(-1)

    @cached_property
    def measures(self) -> dict[str, Array]:
        """Headline numbers and highest scores by number of samples, (S, N)."""
        rows = []
        for entry in (entry for row in self._sweep for entry in row):
            gap = searched(entry["eigenvalues"])
            tested = {RANK: gap.rank, SCORE: gap.score, CARRY: float(entry["effective_samples"])}
            rows.append(headline(entry["eigenvalues"]) | tested)
        shape = len(self._sweep), -1
        return {name: np.reshape([row[name] for row in rows], shape) for name in rows[0]}

    @property
    def curves(self) -> dict[str, dict[str, Array]]:
        """The same as curves: measure → step → (N,)."""
        labels = [f"step {step:,}" for step in self.run.config.sweep_steps]
        return {
            name: dict(zip(labels, values, strict=True)) for name, values in self.measures.items()
        }

    @property
    def shares(self) -> dict[str, Array]:
        """Cumulative share of λ₁ carried by the hardest samples, at the last checkpoint."""
        sizes = self.run.config.sweep_sizes
        return {
            f"N = {size:,}": entry["top_curvature_shares"]
            for size, entry in zip(sizes, self._sweep[-1], strict=True)
        }

    @cached_property
    def draws(self) -> dict[str, Array]:
        """Headline numbers of each independent draw of 50 samples at the last checkpoint."""
        config = self.run.config
        if not config.draws:
            raise ValueError("this run has no draws: draws=0; at least 1 is needed")
        spectra = self.run.arrays(DRAWS, config.checkpoints[-1])["eigenvalues"]
        rows = [headline(eigenvalues) for eigenvalues in spectra]
        return {key: np.array([row[key] for row in rows]) for key in QUOTED}

    def reference(self, name: str) -> float:
        """A headline number at the last checkpoint, from all training samples."""
        return float(self.measures[name][-1, -1])
