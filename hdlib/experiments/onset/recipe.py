"""From config to run: a network, its spectrum and its circuit at close checkpoints."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from hdlib.experiments.grokking.coefficients import (
    BATCH,
    frequency_coefficients,
    whole_coefficient,
)
from hdlib.experiments.grokking.measures import circuit_frequencies
from hdlib.experiments.onset import measuring
from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.store import Arrays, ArrayStage, Experiment, Run, agreement
from hdlib.training import (
    OTHERS,
    Batches,
    Log,
    Plan,
    Schedule,
    TrainingStage,
    adamw,
    coarse_to_fine,
    cross_entropy_float64,
    known_pairs_step,
    pair_evaluation,
    steps_to,
)

OnsetRun: TypeAlias = Run[OnsetConfig]


def _schedule(config: OnsetConfig) -> Schedule:
    return Schedule.of(config.n_steps, checkpoints=config.checkpoints)


def _plan(config: OnsetConfig, device: torch.device) -> Plan:
    model, task = config.model().to(device), config.task
    train = task.train.tokens().to(device), task.train.targets.to(device)
    log = pair_evaluation(cross_entropy_float64, task, lambda pairs: pairs.tokens(), device)
    return Plan(
        model,
        adamw(model, lr=config.lr, weight_decay=config.weight_decay, beta2=config.beta2),
        Batches(*train),
        known_pairs_step(model, train[0]),
        [Log(log)],
        seed=config.seed,
        one_thread=True,
    )


TRAINING = TrainingStage(
    "onset/training",
    fields=("p", "train_fraction", "width", "n_heads", "lr", "weight_decay", "beta2", "seed"),
    model=OnsetConfig.model,
    schedule=_schedule,
    plan=_plan,
    published=lambda run: [],
    extendable=lambda run: False,
)


def _frequencies(run: OnsetRun) -> NDArray[np.int64]:
    return circuit_frequencies(TRAINING.model(run, TRAINING.checkpoints(run)[-1]))


def _spectrum(run: OnsetRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return measuring.spectrum(run.config, model, _frequencies(run))


def _circuit(run: OnsetRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return measuring.circuit(run.config, model, _frequencies(run))


def _coefficient(run: OnsetRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return {"whole": whole_coefficient(model, run.config.task.train, batch_size=BATCH)}


def _looked_around(run: OnsetRun) -> list[int]:
    """Checkpoints with a learning coefficient, coarse to fine."""
    return coarse_to_fine(run.config.checkpoints)[: run.config.coefficients]


def _by_frequency(run: OnsetRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return frequency_coefficients(model, run.config.task.train, _frequencies(run))


def _halfway(run: OnsetRun) -> list[int]:
    """The first checkpoint at which half of the other test pairs are right; else the last."""
    trained, _ = TRAINING.progress(run)
    half = steps_to(TRAINING.history(run), 0.5, column=OTHERS) if trained else None
    return [run.config.n_steps if half is None else half]


CIRCUIT = ArrayStage(
    "onset/circuit",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=lambda run: run.config.checkpoints,
    sources=TRAINING.weights_and_last,
    compute=_circuit,
    agreement=agreement(logit_power=1e-5, restricted_by_frequency=1e-5),
)
SPECTRA = ArrayStage(
    "onset/spectra",
    fields=("n_steps", "eigenpairs", "tol"),
    needs=(TRAINING,),
    items=lambda run: coarse_to_fine(run.config.checkpoints),
    sources=TRAINING.weights_and_last,
    compute=_spectrum,
    agreement=agreement(eigenvalues=1e-4),
)
COEFFICIENTS = ArrayStage(
    "onset/coefficients",
    fields=(),
    needs=(TRAINING,),
    items=_looked_around,
    sources=TRAINING.weights_source,
    compute=_coefficient,
    agreement=agreement(whole=1e-3),
)
FREQUENCIES = ArrayStage(
    "onset/frequencies",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=_halfway,
    sources=TRAINING.weights_and_last,
    compute=_by_frequency,
    agreement=agreement(frequencies=1e-3, others=1e-3),
)
EXPERIMENT = Experiment(
    OnsetConfig,
    (TRAINING, CIRCUIT, SPECTRA, COEFFICIENTS, FREQUENCIES),
    cost="about ten minutes",
    grid=OnsetGrid,
)
run = EXPERIMENT.run
