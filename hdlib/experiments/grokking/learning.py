"""The local learning coefficient through a run, and what a parabola would have."""

from __future__ import annotations

from functools import cached_property
from math import log

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.ends import stored_density
from hdlib.experiments.grokking.coefficients import USUAL
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import COEFFICIENTS, SPECTRA
from hdlib.store import Run

Array = NDArray[np.float64]


class CoefficientResults:
    """λ̂ at the checkpoints of a run.

    T checkpoints, C chains, H heads, K key frequencies.

    Attributes:
        run: complete run.
        steps: (T,) int64, checkpoints with coefficients, ascending.

    Raises:
        ValueError: if the run has none.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.steps = np.array(COEFFICIENTS.steps(run), dtype=np.int64)
        if not len(self.steps):
            raise ValueError("the run has no coefficients: coefficients=0; at least 1 is needed")
        self._stored = [run.arrays(COEFFICIENTS, int(step)) for step in self.steps]

    def _chains(self, name: str) -> Array:
        return np.stack([found[name] for found in self._stored])

    @cached_property
    def whole(self) -> Array:
        """(T, C) of all weights, for each chain."""
        return self._chains("whole")

    @property
    def heads(self) -> Array:
        """(T, H) of each head, mean over the chains."""
        return self._chains("heads").mean(-1)

    @property
    def frequencies(self) -> Array:
        """(T, K) of each key frequency, likewise."""
        return self._chains("frequencies").mean(-1)

    @property
    def others(self) -> Array:
        """(T, K) of as many frequencies that are no key ones, likewise."""
        return self._chains("others").mean(-1)

    @cached_property
    def parabola(self) -> Array:
        """(T,) ½ Σ nβh / (nβh + γ), what λ̂ would be if the loss were its second order.

        Over the positive eigenvalues h of the whole spectrum, by quadrature; NaN where a checkpoint
        has no spectrum.
        """
        config, n = self.run.config, len(self.run.config.task.train.a)
        beta, known = n / log(n), SPECTRA.steps(self.run)

        def share(values: Array) -> Array:
            steep = beta * np.maximum(values, 0)
            return steep / (steep + USUAL.localisation)

        found = np.full(len(self.steps), np.nan)
        for at, step in enumerate(self.steps.tolist()):
            if step in known:
                stored = self.run.arrays(SPECTRA, step)
                density = stored_density(
                    stored, n=config.n_parameters, certified=stored["converged"]
                )
                found[at] = density.spectral_sum(share).value / 2
        return found
