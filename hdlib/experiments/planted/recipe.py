"""From config to run: a network with planted circuits, and the whole spectrum at its checkpoints."""

from __future__ import annotations

from typing import TypeAlias

from hdlib.experiments.planted.config import PlantedConfig, PlantedGrid
from hdlib.experiments.planted.measures import measured
from hdlib.experiments.planted.training import TRAINING, model_at, spectrum_steps
from hdlib.store import Arrays, ArrayStage, Experiment, Run, Stage, agreement
from hdlib.training import checkpoint_name

PlantedRun: TypeAlias = Run[PlantedConfig]


def _weights(run: PlantedRun, step: int) -> list[tuple[Stage, str]]:
    return [(TRAINING, checkpoint_name(step))]


def _spectrum(run: PlantedRun, step: int) -> Arrays:
    return measured(run.config, model_at(run, step))


SPECTRA = ArrayStage(
    "planted/spectra",
    fields=(),
    needs=(TRAINING,),
    items=spectrum_steps,
    sources=_weights,
    compute=_spectrum,
    agreement=agreement(eigenvalues=1e-8, unit_shares=1e-6, residual_size=1e-6),
)
EXPERIMENT = Experiment(
    PlantedConfig,
    (TRAINING, SPECTRA),
    cost="about a minute",
    grid=PlantedGrid,
)
run = EXPERIMENT.run
