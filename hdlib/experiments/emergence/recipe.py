"""From config to run: an MLP, the probes of its layers, and the top of its spectrum."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F

from hdlib.curvature import HessianOperator, lanczos
from hdlib.experiments.emergence.config import EmergenceConfig, EmergenceGrid
from hdlib.experiments.emergence.probing import (
    frequency_shares,
    input_features,
    layer_features,
    probe_scores,
)
from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.models.mlp import encoded
from hdlib.store import Arrays, ArrayStage, Experiment, Run, agreement
from hdlib.tasks import Pairs
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Schedule,
    TrainingStage,
    adamw,
    cross_entropy_float64,
    pair_evaluation,
    supervised,
)

SMALL = 64
"""Up to this width the last weights are published."""
INPUTS = "inputs"
"""The one item of the probes of what networks are given."""

EmergenceRun: TypeAlias = Run[EmergenceConfig]


def _schedule(config: EmergenceConfig) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=[0, *config.probe_steps, *config.spectrum_steps],
        log_steps=range(0, config.n_steps + 1, config.log_every),
    )


def _plan(config: EmergenceConfig, device: torch.device) -> Plan:
    model, task = config.model().to(device), config.task

    def encode(pairs: Pairs) -> torch.Tensor:
        return encoded(pairs, config.encoding)

    return Plan(
        model,
        adamw(model, lr=config.lr, weight_decay=config.weight_decay, beta2=config.beta2),
        Batches(encode(task.train).to(device), task.train.targets.to(device)),
        supervised(cross_entropy_float64),
        [Log(pair_evaluation(cross_entropy_float64, task, encode, device), config.log_every)],
        seed=config.seed,
        one_thread=True,
    )


def _published(run: EmergenceRun) -> list[int]:
    return [run.config.n_steps] if run.config.width <= SMALL else []


TRAINING = TrainingStage(
    "emergence/training",
    fields=(
        *("p", "encoding", "width", "depth", "train_fraction", "unordered"),
        *("lr", "weight_decay", "beta2", "log_every", "seed"),
    ),
    model=EmergenceConfig.model,
    schedule=_schedule,
    plan=_plan,
    published=_published,
    extendable=lambda run: False,
)


def _inputs(run: EmergenceRun, item: str) -> Arrays:
    return probe_scores(run.config, {item: input_features(run.config)})


def _probes(run: EmergenceRun, step: int) -> Arrays:
    config = run.config
    features = layer_features(config, TRAINING.model(run, step).to(run.device))
    shares = frequency_shares(config, features["logits"])
    return probe_scores(config, features) | {"logit_power": shares}


def _spectrum(run: EmergenceRun, step: int) -> Arrays:
    """Leading eigenpairs over all training pairs, and what each does to the network's function."""
    config, task = run.config, run.config.task
    model = TRAINING.model(run, step).to(run.device)
    data = encoded(task.train, config.encoding), task.train.targets
    operator = HessianOperator(model, F.cross_entropy, data)
    found = lanczos(operator, top=config.eigenpairs, bottom=0, tol=config.tol)
    inputs = encoded(task.grid, config.encoding).to(run.device)
    changes = output_changes(model, inputs, found.top(config.eigenpairs))
    return {
        "eigenvalues": found.eigenvalues[::-1].copy(),
        "residuals": found.residuals[::-1].copy(),
        "products": np.array(found.products),
        "frequencies": class_frequencies(changes, config.p),
    }


def _directions(run: EmergenceRun, step: int) -> Arrays:
    """What as many random directions do to the function: the null of the eigenvectors."""
    config = run.config
    model = TRAINING.model(run, step).double().to(run.device)
    inputs = encoded(config.task.grid, config.encoding).to(run.device)
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    shape = (config.n_parameters, config.eigenpairs)
    directions = np.random.default_rng((config.seed, 3, step)).standard_normal(shape)
    changes = output_changes(model, inputs, directions)
    return {"frequencies": class_frequencies(changes, config.p)}


FITTING = ("concepts", "probe_rows", "strengths")

RAW = ArrayStage(
    "emergence/inputs",
    fields=("p", "encoding", "train_fraction", "unordered", "seed", *FITTING),
    items=lambda run: [INPUTS],
    compute=_inputs,
    agreement=agreement(balanced_accuracy=0.02, ranking_accuracy=0.02, waves=0.02),
)
PROBES = ArrayStage(
    "emergence/probes",
    fields=("before_relu", *FITTING),
    needs=(TRAINING,),
    items=lambda run: run.config.probe_steps,
    sources=TRAINING.weights_source,
    compute=_probes,
    agreement=agreement(
        balanced_accuracy=0.02, ranking_accuracy=0.02, waves=0.02, logit_power=1e-4
    ),
)
SPECTRA = ArrayStage(
    "emergence/spectra",
    fields=("eigenpairs", "tol"),
    needs=(TRAINING,),
    items=lambda run: run.config.spectrum_steps,
    sources=TRAINING.weights_source,
    compute=_spectrum,
    agreement=agreement(eigenvalues=1e-4, frequencies=0.02),
)
DIRECTIONS = ArrayStage(
    "emergence/directions",
    fields=("eigenpairs",),
    needs=(TRAINING,),
    items=lambda run: run.config.spectrum_steps,
    sources=TRAINING.weights_source,
    compute=_directions,
    agreement=agreement(frequencies=0.02),
)
EXPERIMENT = Experiment(
    EmergenceConfig,
    (TRAINING, RAW, PROBES, SPECTRA, DIRECTIONS),
    cost="about five minutes",
    grid=EmergenceGrid,
)
run = EXPERIMENT.run
