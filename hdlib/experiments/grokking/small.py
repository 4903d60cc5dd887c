"""What all eigenvalues of a small network say, and what only 200 pairs would have said."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import spectrum
from hdlib.experiments.ends import stored_density
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.gaps import gap_beyond
from hdlib.experiments.grokking.recipe import SPECTRA, WHOLE
from hdlib.experiments.grokking.spectra import hessian_operator, stored_spectrum
from hdlib.experiments.grokking.summary import NEGATIVE
from hdlib.experiments.grokking.training import TRAINING
from hdlib.experiments.grokking.whole import (
    FEW_PAIRS,
    MOST_PARAMETERS,
    few_pairs,
    zeros_by_symmetry,
)
from hdlib.measures import GapTest
from hdlib.measures.spacings import spacing_ratio
from hdlib.store import Run

Array = NDArray[np.float64]

ALL, FEW = "all_pairs", "few_pairs"
ROUNDING = 1e-15
"""|λ| over the largest below which an eigenvalue is zero to rounding."""
DRAWS = 5
"""Other draws of as few pairs."""
HIGHEST = 120
"""Eigenvalues of each, enough for the score of a gap."""
CLEAR = 1e-10
"""The same above which it is surely not: the error of a tridiagonalisation is far below."""


class Seen(NamedTuple):
    """What Lanczos and quadrature say of a spectrum, beside all of its eigenvalues.

    Attributes:
        certified: number of pairs that are certified from an end on without a gap.
        error: largest |difference| of these from the eigenvalue of their rank, over |λ|max.
        negative: number of eigenvalues below −10⁻⁴ |λ|max.
        counted: the same by quadrature, the middle of what it leaves open.
        uncertain: half of that, and two standard errors of the probes.
    """

    certified: int
    error: float
    negative: int
    counted: float
    uncertain: float


class Draw(NamedTuple):
    """What another draw of few pairs has at the end of training.

    Attributes:
        largest: its largest eigenvalue over that from all pairs.
        gap: the gap that stands out most below those of the heads.
    """

    largest: float
    gap: GapTest


class WholeResults:
    """All eigenvalues at a few checkpoints, over all training pairs and over 200 of them.

    Attributes:
        run: complete run.
        steps: checkpoints with all eigenvalues, ascending.

    Raises:
        ValueError: if there are none, since the network is too large.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run, self.steps = run, WHOLE.steps(run)
        if not self.steps:
            raise ValueError(
                f"the run has no whole spectra: its network has {run.config.n_parameters:,} "
                f"parameters, and at most {MOST_PARAMETERS:,} are possible"
            )

    @property
    def samples(self) -> dict[str, str]:
        """Names of the samples of pairs → how they are called."""
        n = len(self.run.config.task.train.a)
        return {ALL: f"all {n:,} pairs", FEW: f"{min(n, FEW_PAIRS)} pairs"}

    @cached_property
    def eigenvalues(self) -> dict[str, dict[int, Array]]:
        """Sample → step → (P,) eigenvalues, ascending."""
        stored = {step: self.run.arrays(WHOLE, step) for step in self.steps}
        return {name: {step: of[name] for step, of in stored.items()} for name in self.samples}

    @property
    def panels(self) -> dict[str, Array]:
        """All eigenvalues before training and at its end, of both samples, over the largest."""
        return {
            f"step {step:,}, {words}": found[step] / np.abs(found[step]).max()
            for step in dict.fromkeys((self.steps[0], self.steps[-1]))
            for found, words in zip(self.eigenvalues.values(), self.samples.values(), strict=True)
        }

    @property
    def zeros_by_symmetry(self) -> int:
        """How many eigenvalues are zero whatever the weights."""
        return zeros_by_symmetry(self.run.config.width, self.run.config.n_heads)

    def zeros(self, sample: str, step: int) -> int:
        """How many eigenvalues are zero to rounding."""
        return int((self._sizes(sample, step) < ROUNDING).sum())

    def beside_zeros(self, step: int) -> tuple[float, float]:
        """|λ|/|λ|max of the last eigenvalue that a symmetry makes zero, and of the next."""
        ordered = np.sort(self._sizes(ALL, step))
        return tuple(ordered[self.zeros_by_symmetry - 1 : self.zeros_by_symmetry + 1].tolist())

    def negative(self, sample: str, step: int) -> int:
        """How many eigenvalues are below −10⁻⁴ |λ|max."""
        found = self.eigenvalues[sample][step]
        return int((found < -NEGATIVE * np.abs(found).max()).sum())

    def spacing_ratio(self, step: int) -> float:
        """Mean ratio of neighbouring spacings of all eigenvalues that are clearly not zero."""
        found = self.eigenvalues[ALL][step]
        return spacing_ratio(np.diff(found[self._sizes(ALL, step) > CLEAR]))

    def gap(self, sample: str, step: int) -> GapTest:
        """The gap that stands out most below those of the heads."""
        return gap_beyond(self.eigenvalues[sample][step][::-1], self.run.config.n_heads)

    @cached_property
    def draws(self) -> list[Draw]:
        """`DRAWS` other draws of few pairs at the last checkpoint, from its weights."""
        return [self._draw(number) for number in range(DRAWS)]

    def _draw(self, number: int) -> Draw:
        config, last = self.run.config, self.steps[-1]
        few = few_pairs(config, number)
        operator = hessian_operator(config, TRAINING.model(self.run, last), pairs=few)
        top = min(HIGHEST, config.n_parameters // 2)
        found = spectrum(operator, top=top, bottom=0, tol=config.tol).eigenvalues[::-1]
        return Draw(
            float(found[0] / self.eigenvalues[ALL][last][-1]), gap_beyond(found, config.n_heads)
        )

    @cached_property
    def seen(self) -> dict[int, Seen]:
        """Checkpoints that have a search of the ends, too → what it says."""
        return {step: self._seen(step) for step in self.steps if step in SPECTRA.steps(self.run)}

    def _sizes(self, sample: str, step: int) -> Array:
        found = np.abs(self.eigenvalues[sample][step])
        return found / found.max()

    def _seen(self, step: int) -> Seen:
        whole, stored = self.eigenvalues[ALL][step], self.run.arrays(SPECTRA, step)
        ends = stored_spectrum(self.run.config, stored).certified_ends()
        scale, n = np.abs(whole).max(), len(whole)
        same = np.r_[whole[: ends.lowest], whole[n - ends.highest :]]
        sure = stored["converged"].astype(bool)
        density = stored_density(stored, n=n, certified=sure)
        count = density.count(-np.inf, -NEGATIVE * scale)
        return Seen(
            len(ends.eigenvalues),
            float(np.abs(ends.eigenvalues - same).max() / scale),
            self.negative(ALL, step),
            count.value,
            (count.highest - count.lowest) / 2 + 2 * count.standard_error,
        )
