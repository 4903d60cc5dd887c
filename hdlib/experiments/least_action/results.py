"""What the chapter shows of its runs: arrays for figures, tables and claims."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import Density
from hdlib.experiments.ends import stored_density, stored_ends
from hdlib.experiments.grid import run_grid
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.grid import Arm, LeastActionGrid
from hdlib.experiments.least_action.measuring import TOLERANCE
from hdlib.experiments.least_action.recipe import (
    EXPERIMENT,
    MAPS,
    SENSITIVITY,
    SPECTRA,
    TRACES,
    TRAINING,
)
from hdlib.store import ArrayStage, Run
from hdlib.training import MIRRORED, OTHERS, steps_to

Array = NDArray[np.float64]

GENERALISED = 0.95
"""Accuracy on the test pairs that memory cannot answer from which a network has generalised."""
MEMORISED = 0.98
"""The same of the training pairs."""
ENTROPY = "normalised_routing_entropy"
"""Column of the history with the entropy of the paths over its largest value."""


class Measured(NamedTuple):
    """A number along a training, with its standard error.

    Attributes:
        steps: (S,) ascending.
        values: (S,).
        errors: (S,).
    """

    steps: NDArray[np.int64]
    values: Array
    errors: Array


class TrainedNetwork:
    """One trained network.

    Attributes:
        run: its complete run.
        config: its config.
    """

    def __init__(self, run: Run[LeastActionConfig]) -> None:
        self.run, self.config = run, run.config

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history, (T,) each."""
        return TRAINING.history(self.run)

    @property
    def n_parameters(self) -> int:
        """Number of its parameters."""
        return sum(parameter.numel() for parameter in self.config.network().parameters())

    def column(self, name: str) -> Array:
        """A column of the history, (T,); NaN throughout where this network does not have it."""
        return np.asarray(self.history.get(name, np.full(len(self.history["step"]), np.nan)))

    def last(self, name: str) -> float:
        """A column at the end of training."""
        return float(self.column(name)[-1])

    def at(self, step: int, name: str) -> float:
        """A column at a logged step."""
        return float(self.column(name)[self.history["step"].tolist().index(step)])

    @property
    def memorised(self) -> int | None:
        """Step from which the training pairs are known."""
        return steps_to(self.history, MEMORISED, column="train_accuracy")

    @property
    def generalised(self) -> int | None:
        """Step from which test pairs are known that memory cannot answer."""
        return steps_to(self.history, GENERALISED, column=OTHERS)

    @property
    def generalised_row(self) -> int:
        """Row of the history at which it generalised; the last where it did not."""
        reached = np.flatnonzero(self.column(OTHERS) >= GENERALISED)
        return int(reached[0]) if len(reached) else len(self.history["step"]) - 1

    @property
    def known_afterwards(self) -> float:
        """Share of the rows from that one on with these pairs known; NaN where there is none."""
        if self.generalised is None:
            return np.nan
        return float((self.column(OTHERS)[self.generalised_row :] >= GENERALISED).mean())

    def measured(self, stage: ArrayStage, name: str) -> Measured:
        """What a stage measured at its checkpoints, in the order of training."""
        steps = stage.steps(self.run)
        found = np.array([self.run.arrays(stage, step)[name] for step in steps]).reshape(-1, 2)
        return Measured(np.array(steps, dtype=np.int64), found[:, 0], found[:, 1])

    @property
    def input_jacobian(self) -> Measured:
        """Mean squared norm of the logits' derivative by the inputs."""
        return self.measured(SENSITIVITY, "input_jacobian")

    @property
    def input_hessian(self) -> Measured:
        """Mean trace of the second derivative of the predicted class's logit by the inputs."""
        return self.measured(SENSITIVITY, "input_hessian_trace")

    @property
    def hessian_trace(self) -> Measured:
        """Trace of the Hessian of the cross-entropy."""
        return self.measured(TRACES, "hessian_trace")

    @property
    def fisher_trace(self) -> Measured:
        """Trace of the empirical Fisher matrix."""
        return self.measured(TRACES, "fisher_trace")

    @cached_property
    def spectra(self) -> dict[int, Top]:
        """The top of the spectrum at each checkpoint that has one, by step, ascending."""
        return {step: Top(self, self.run.arrays(SPECTRA, step)) for step in SPECTRA.steps(self.run)}

    @cached_property
    def maps(self) -> dict[int, dict[str, NDArray]]:
        """Power of the logits, and routing weights, at each checkpoint that has them, by step."""
        return {step: self.run.arrays(MAPS, step) for step in MAPS.steps(self.run)}


class Top:
    """The top of one spectrum.

    Attributes:
        spectrum: what is certain of it, k eigenvalues, without its vectors.
        eigenvalues: (k,) these, ascending.
        frequencies: (k, (p − 1)/2) share of each frequency of the classes in what each of their
            eigenvectors does to the logits.
        null: (k', (p − 1)/2) the same of a random rotation of all eigenvectors.
    """

    def __init__(self, network: TrainedNetwork, arrays: dict[str, NDArray]) -> None:
        self._arrays = arrays
        self._stored = stored_ends(arrays, n=network.n_parameters, tol=TOLERANCE, lowest=0)
        self.spectrum = self._stored.certified_ends()
        self.eigenvalues: Array = self.spectrum.eigenvalues
        shares: Array = arrays["frequencies"]
        self.frequencies = shares[len(shares) - len(self.eigenvalues) :]
        self.null: Array = arrays["null_frequencies"]

    @property
    def density(self) -> Density:
        """The density of the whole spectrum."""
        found = self._stored
        return stored_density(self._arrays, n=found.n, certified=found.certified)


class LeastActionResults:
    """Everything the chapter shows, of all runs of its grid.

    Attributes:
        grid: parameters of the chapter.
    """

    def __init__(self, grid: LeastActionGrid) -> None:
        self.grid = grid
        configs = grid.configs
        runs = run_grid(EXPERIMENT, configs)
        self._networks = {c: TrainedNetwork(run) for c, run in zip(configs, runs, strict=True)}

    def of(self, arm: Arm) -> list[TrainedNetwork]:
        """The networks of an arm, in the order of the seeds."""
        return [self._networks[config] for config in arm.configs]

    @property
    def compared(self) -> list[TrainedNetwork]:
        """The plain transformers, and the routed ones with as many parameters."""
        grid = self.grid
        return [n for arm in (grid.plain, grid.matched, grid.pressed) for n in self.of(arm)]

    @property
    def networks(self) -> list[TrainedNetwork]:
        """All of them."""
        return list(self._networks.values())


def generalised_steps(networks: Sequence[TrainedNetwork]) -> Array:
    """Step at which each network generalised, (n,); infinite where it did not."""
    steps = [network.generalised for network in networks]
    return np.array([np.inf if step is None else step for step in steps], dtype=np.float64)


def mirrored_share(network: TrainedNetwork) -> float:
    """Share of the test pairs whose mirror is a training pair."""
    return float(network.config.task.mirrored.double().mean())


def plateau(network: TrainedNetwork) -> int:
    """Row of the history from which 95% of the mirrored pairs are known; the last where none is."""
    reached = np.flatnonzero(network.column(MIRRORED) >= GENERALISED)
    return int(reached[0]) if len(reached) else len(network.history["step"]) - 1


PublishedLeastAction = LeastActionResults


@cache
def published() -> PublishedLeastAction:
    """The results of the chapter's grid as it is published."""
    return LeastActionResults(LeastActionGrid())
