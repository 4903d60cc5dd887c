"""From config to run: a network with planted circuits, and its whole spectrum through training."""

from __future__ import annotations

from typing import TypeAlias

from hdlib.experiments.planted.basis import rotated
from hdlib.experiments.planted.config import PlantedConfig, PlantedGrid
from hdlib.experiments.planted.grouping import grouped
from hdlib.experiments.planted.measures import measured
from hdlib.experiments.planted.statistics import eigenvalue_statistics
from hdlib.experiments.planted.training import TRAINING, spectrum_steps
from hdlib.store import Arrays, ArrayStage, Experiment, Run, Stage, agreement, file_name

PlantedRun: TypeAlias = Run[PlantedConfig]


def _spectrum(run: PlantedRun, step: int) -> Arrays:
    return measured(run.config, TRAINING.model(run, step))


def _spectra(run: PlantedRun, step: int) -> list[tuple[Stage, str]]:
    return [(SPECTRA, file_name(step))]


def _statistics(run: PlantedRun, step: int) -> Arrays:
    arrays = run.arrays(SPECTRA, step)
    return eigenvalue_statistics(arrays, uncoupled=run.config.alpha == 0)


def circuit_steps(run: PlantedRun) -> list[int]:
    """Checkpoints at which eigenvectors are grouped: all, where they are followed, or the last."""
    return run.config.checkpoints if run.config.followed else [run.config.n_steps]


def _circuits(run: PlantedRun, step: int) -> Arrays:
    return grouped(run.config, TRAINING.model(run, step))


def _basis_steps(run: PlantedRun) -> list[int]:
    """The last, where the circuits are uncoupled and what is right is known."""
    return [run.config.n_steps] if run.config.alpha == 0 else []


def _basis(run: PlantedRun, step: int) -> Arrays:
    return rotated(run.config, TRAINING.model(run, step))


SPECTRA = ArrayStage(
    "planted/spectra",
    fields=(),
    needs=(TRAINING,),
    items=spectrum_steps,
    sources=TRAINING.weights_source,
    compute=_spectrum,
    agreement=agreement(eigenvalues=1e-8, unit_shares=1e-6, residual_size=1e-6),
)
STATISTICS = ArrayStage(
    "planted/statistics",
    fields=(),
    needs=(SPECTRA,),
    items=spectrum_steps,
    sources=_spectra,
    compute=_statistics,
    agreement=agreement(best=1e-6, neighbours=1e-6, deciles=1e-6),
)
BASIS = ArrayStage(
    "planted/basis",
    fields=(),
    needs=(TRAINING,),
    items=_basis_steps,
    sources=TRAINING.weights_source,
    compute=_basis,
    agreement=agreement(purity=0.05),
)
CIRCUITS = ArrayStage(
    "planted/circuits",
    fields=("top", "rotations"),
    needs=(TRAINING,),
    items=circuit_steps,
    sources=TRAINING.weights_source,
    compute=_circuits,
    agreement=agreement(excess=0.02, rotated=0.05),
)
EXPERIMENT = Experiment(
    PlantedConfig,
    (TRAINING, SPECTRA, STATISTICS, BASIS, CIRCUITS),
    cost="about a minute",
    grid=PlantedGrid,
)
run = EXPERIMENT.run
