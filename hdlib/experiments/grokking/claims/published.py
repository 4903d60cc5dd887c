"""The published results that the grokking chapter's claims are decided on."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.functions import FunctionResults, HeadFunctions
from hdlib.experiments.grokking.recipe import run
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.experiments.grokking.sweep import GrokkingSweep


class PublishedGrokking:
    """The run of the default config and the sweep; each read when it is first asked for."""

    @cached_property
    def results(self) -> GrokkingResults:
        """Results of the chapter's run."""
        return GrokkingResults(run(GrokkingConfig()))

    @cached_property
    def functions(self) -> FunctionResults:
        """What the leading eigenvectors of this run do to its function."""
        return FunctionResults(self.results.run)

    @cached_property
    def sweep(self) -> GrokkingSweep:
        """Other seeds and networks."""
        return GrokkingSweep()

    @cached_property
    def heads(self) -> HeadFunctions:
        """What the leading eigenvectors of the networks with one to eight heads do."""
        return HeadFunctions(self.sweep)

    def between(self, first: int, last: int) -> slice:
        """Positions of the chapter's spectra from one step to another, both included."""
        steps = self.results.spectrum_steps
        return slice(int(np.searchsorted(steps, first)), int(np.searchsorted(steps, last, "right")))

    def largest(self) -> NDArray[np.float64]:
        """λmax at each of the chapter's spectra."""
        return self.results.trajectory.eigenvalues[:, -1]


@cache
def published() -> PublishedGrokking:
    """The one value of its kind, so that nothing is read twice."""
    return PublishedGrokking()


def listed(values: object, form: str) -> str:
    """Numbers, each in a format, with commas and an "and" between them; "none" for none."""
    words = [f"{value:{form}}" for value in np.asarray(values).tolist()]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "none"


def two_digits(value: float) -> str:
    """A large number, rounded to its two leading digits."""
    return f"{float(f'{value:.2g}'):,.0f}"
