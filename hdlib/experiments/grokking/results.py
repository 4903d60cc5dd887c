"""What the grokking chapter shows of its run: arrays for the figures, tables and claims."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Dendrogram
from hdlib.curvature import adam_ceiling
from hdlib.experiments.grokking.clusters import PurityResults
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.functions import FunctionResults, HeadFunctions
from hdlib.experiments.grokking.gaps import gap_beyond
from hdlib.experiments.grokking.learning import CoefficientResults
from hdlib.experiments.grokking.recipe import ADAM, MEASURES, PAIRS, SPECTRA, run
from hdlib.experiments.grokking.spectra import stored_spectrum
from hdlib.experiments.grokking.summary import summary
from hdlib.experiments.grokking.sweep import AGAIN, GrokkingSweep
from hdlib.experiments.grokking.training import TRAINING
from hdlib.measures import GapTest, Phases, phases
from hdlib.store import Run
from hdlib.training import MIRRORED, OTHERS
from hdlib.trajectory import Trajectory

Array = NDArray[np.float64]

FINEST = 1e-6
"""Finest resolution, in units of the largest eigenvalue."""
PHASES = ("memorisation", "circuit formation", "clean-up")


class GrokkingResults:
    """Everything the chapter shows, read from a complete run.

    T checkpoints, S of them with a spectrum, K key frequencies, P parameters.

    Attributes:
        run: complete run.
        config: config of the run.
        steps: (T,) int64, checkpoints with measures of the circuit.
        spectrum_steps: (S,) int64, checkpoints with a spectrum.
        spectra: arrays stored at each of these.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.config = run.config
        self.steps = np.array(MEASURES.steps(run))
        self.spectrum_steps = np.array(SPECTRA.steps(run), dtype=np.int64)
        self._measures = [run.arrays(MEASURES, int(step)) for step in self.steps]
        self.spectra = [run.arrays(SPECTRA, int(step)) for step in self.spectrum_steps]

    def measure(self, key: str) -> NDArray:
        """A measure of the circuit at every checkpoint, (T, …)."""
        return np.stack([measured[key] for measured in self._measures])

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history."""
        return TRAINING.history(self.run)

    @property
    def frequencies(self) -> list[int]:
        """Key frequencies of the last checkpoint."""
        return self._measures[-1]["frequencies"].tolist()

    @property
    def progress(self) -> dict[str, NDArray]:
        """Restricted and excluded loss at every checkpoint."""
        losses = {key: self.measure(key) for key in ("restricted_loss", "excluded_loss")}
        return {"step": self.steps} | losses

    @cached_property
    def phases(self) -> Phases:
        """Ends of memorisation, circuit formation and clean-up, from the measures."""
        at = np.searchsorted(self.history["step"], self.steps)
        return phases(
            self.steps,
            train_loss=self.history["train_loss"][at],
            test_loss=self.history["test_loss"][at],
            excluded_loss=self.measure("excluded_loss"),
            chance=float(np.log(self.config.p)),
        )

    @cached_property
    def pairs(self) -> dict[str, NDArray]:
        """Accuracy on mirrored and on other test pairs, at the checkpoints that are looked at.

        Raises:
            ValueError: if the run has none.
        """
        steps = PAIRS.steps(self.run)
        if not steps:
            raise ValueError(
                f"purities={self.config.purities}: pairs are told apart in runs with at least 2"
            )
        found = [self.run.arrays(PAIRS, step) for step in steps]
        return {"step": np.array(steps)} | {
            key: np.array([float(at[key]) for at in found]) for key in (MIRRORED, OTHERS)
        }

    @property
    def transition(self) -> tuple[int, int] | None:
        """Where the network learns the test pairs that memory cannot answer; None if it does not.

        Of the checkpoints that are looked at, the last before more than 5% of these pairs are
        right, and the first with more than 95%.
        """
        steps, accuracy = self.pairs["step"], self.pairs[OTHERS]
        begun, done = (np.flatnonzero(accuracy > level) for level in (0.05, 0.95))
        return (int(steps[max(begun[0] - 1, 0)]), int(steps[done[0]])) if len(done) else None

    @cached_property
    def trajectory(self) -> Trajectory:
        """What is certified at every checkpoint with a spectrum."""
        stored = (stored_spectrum(self.config, found) for found in self.spectra)
        return Trajectory(self.spectrum_steps, tuple(stored)).certified_ends()

    @cached_property
    def relative(self) -> Trajectory:
        """The same over the largest eigenvalue of each checkpoint."""
        return self.trajectory.relative()

    def position(self, step: int) -> int:
        """Where a checkpoint is among those with a spectrum.

        Raises:
            ValueError: if it has none.
        """
        return self.spectrum_steps.tolist().index(step)

    @cached_property
    def chosen(self) -> dict[str, int]:
        """Four checkpoints with weights and a spectrum: label → step.

        The end of memorisation; the last with less than half of the other test pairs right, and the
        first with more; the end of training.
        """
        steps, accuracy = self.pairs["step"], self.pairs[OTHERS]
        end = len(steps) - 1
        memorised = steps[end] / 8 if self.phases.memorised is None else self.phases.memorised
        half = int(np.argmax(accuracy > 0.5)) if self.transition else end // 2
        wanted = {
            "memorised": int(np.abs(steps - memorised).argmin()),
            "less than half": max(half - 1, 0),
            "more than half": half,
            "end": end,
        }
        return {
            f"{name}, step {steps[at]:,}": int(steps[at])
            for name, at in wanted.items()
            if steps[at] in self.spectrum_steps
        }

    @property
    def chosen_dendrograms(self) -> dict[str, Dendrogram]:
        """Dendrograms of certified eigenvalues over the largest, at the chosen checkpoints."""
        trees = self.relative.dendrograms
        return {label: trees[self.position(step)] for label, step in self.chosen.items()}

    @cached_property
    def resolutions(self) -> Array:
        """Resolutions ε of the relative spectra, up to the largest gap of all checkpoints."""
        return self.relative.resolutions(finest=FINEST)

    @property
    def chosen_counts(self) -> dict[str, NDArray[np.int64]]:
        """n(ε) at the chosen checkpoints."""
        trees = self.chosen_dendrograms.items()
        return {label: tree.n_clusters(self.resolutions) for label, tree in trees}

    @cached_property
    def summary(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Measures of the whole spectrum at each checkpoint with one, and their errors."""
        return summary(self.trajectory, self.spectra, n_parameters=self.config.n_parameters)

    @cached_property
    def gaps_beyond_heads(self) -> list[GapTest]:
        """The gap that stands out most below the ranks of the heads, at each spectrum, S."""
        top = self.config.eigenpairs
        return [
            gap_beyond(found[-top:], self.config.n_heads) for found in self.trajectory.eigenvalues
        ]

    @property
    def spectrum_losses(self) -> Array:
        """Training loss at the checkpoints with a spectrum, (S,)."""
        return self.history["train_loss"][
            np.searchsorted(self.history["step"], self.spectrum_steps)
        ]

    @property
    def adam(self) -> tuple[Array, float]:
        """Largest eigenvalue of the Hessian as Adam sees it, (S,), NaN at step 0; its ceiling."""
        known = {step: self.run.arrays(ADAM, step) for step in ADAM.steps(self.run)}
        values = [
            known[step]["adam_eigenvalue"][0] if step in known else np.nan
            for step in self.spectrum_steps.tolist()
        ]
        return np.array(values), adam_ceiling(self.config.lr, self.config.beta1)

    @cached_property
    def by_phase(self) -> dict[str, list[int]]:
        """Positions of the spectra in each phase that has some, the start on its own."""
        ends = {"before training": 0, **dict(zip(PHASES, self.phases, strict=True))}
        ends = {label: end for label, end in ends.items() if end is not None}
        ends["afterwards"] = self.config.n_steps
        stops = np.searchsorted(self.spectrum_steps, list(ends.values()), side="right")
        found = zip(ends, (0, *stops[:-1]), stops, strict=True)
        return {label: list(range(start, stop)) for label, start, stop in found if start < stop}


class PublishedGrokking:
    """A run and the sweep; each read when it is first asked for.

    Args:
        config: of the run; the chapter's by default.
    """

    def __init__(self, config: GrokkingConfig | None = None) -> None:
        self._config = config or GrokkingConfig()

    @cached_property
    def results(self) -> GrokkingResults:
        """Results of the run."""
        return GrokkingResults(run(self._config))

    @cached_property
    def again(self) -> PublishedGrokking:
        """The same of a second run, from another seed."""
        second = PublishedGrokking(AGAIN)
        second.sweep = self.sweep
        return second

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

    @cached_property
    def purities(self) -> PurityResults:
        """Purities through the run."""
        return PurityResults(self.results.run)

    @cached_property
    def coefficients(self) -> CoefficientResults:
        """Local learning coefficients through the run."""
        return CoefficientResults(self.results.run)

    def between(self, first: int, last: int) -> slice:
        """Positions of the spectra from one step to another, both included."""
        steps = self.results.spectrum_steps
        return slice(int(np.searchsorted(steps, first)), int(np.searchsorted(steps, last, "right")))

    def largest(self) -> NDArray[np.float64]:
        """λmax at each of the spectra."""
        return self.results.trajectory.eigenvalues[:, -1]


@cache
def published() -> PublishedGrokking:
    """The one value of its kind, so that nothing is read twice."""
    return PublishedGrokking()
