"""From config to run: a network, and what is measured of it on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from hdlib.experiments.least_action import measuring
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.grid import LeastActionGrid
from hdlib.experiments.least_action.objective import TrainedLoss, encode
from hdlib.experiments.least_action.watching import watch
from hdlib.models import ArithmeticNetwork
from hdlib.store import Agreement, Arrays, ArrayStage, Experiment, Run, agreement
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Resolution,
    Schedule,
    TrainingStage,
    coarse_to_fine,
    decay_groups,
    warm_up,
)

EARLY = (0, 100, 500, 1_000, 2_000)
RESOLVED = 0.25
"""Change of the test accuracy that makes a logged step a checkpoint."""
SMALL = 64
"""Up to this width last weights are published."""
MEASURED = (
    *("n_steps", "checkpoint_every", "sensitivities", "traces", "spectra", "eigenpairs", "maps"),
    "device",
)
"""Fields that no training depends on."""

LeastActionRun: TypeAlias = Run[LeastActionConfig]


def checkpoints(config: LeastActionConfig) -> list[int]:
    """Steps at which weights are kept in any case."""
    regular = {*EARLY, *range(config.checkpoint_every, config.n_steps, config.checkpoint_every)}
    return sorted({step for step in regular if step < config.n_steps} | {config.n_steps})


def _schedule(config: LeastActionConfig) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=checkpoints(config),
        log_steps=range(0, config.n_steps + 1, config.log_every),
        resolution=Resolution("test_accuracy", RESOLVED),
    )


def _optimizer(config: LeastActionConfig, model: torch.nn.Module) -> torch.optim.Optimizer:
    groups = decay_groups(
        model,
        config.weight_decay,
        gates=config.decay_gates,
        embeddings=config.decay_embeddings,
    )
    adam: dict[str, Any] = {
        "lr": config.lr,
        "betas": (config.beta1, config.beta2),
        "eps": config.eps,
        "fused": True,
    }
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, **adam)
        case "adam":
            return torch.optim.Adam(groups, **adam)
        case "sgd":
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)


def _plan(config: LeastActionConfig, device: torch.device) -> Plan:
    model = config.network().to(device)
    objective = TrainedLoss(config, device)
    train = config.task.train
    return Plan(
        model,
        _optimizer(config, model),
        Batches(encode(config, train).to(device), train.targets.to(device)),
        objective,
        [Log(watch(config, objective, device))],
        seed=config.seed,
        one_thread=True,
        rate=warm_up(config.warmup_steps),
        clip=config.grad_clip,
    )


def _published(run: LeastActionRun) -> list[int]:
    """The last checkpoint of small networks of the first seed whose curvature is measured."""
    config = run.config
    kept = config.seed == 0 and config.width <= SMALL and config.traces > 0
    return TRAINING.checkpoints(run)[-1:] if kept else []


TRAINING = TrainingStage(
    "least-action/training",
    fields=tuple(name for name in LeastActionConfig.model_fields if name not in MEASURED),
    model=LeastActionConfig.network,
    schedule=_schedule,
    plan=_plan,
    published=_published,
    extendable=lambda run: False,
)


def _stage(
    name: str,
    measure: Callable[[LeastActionConfig, ArithmeticNetwork, torch.device], Arrays],
    compared: Callable[[Arrays, Arrays], list[Agreement]],
    *,
    fields: tuple[str, ...] = (),
) -> ArrayStage:
    """A measure at as many checkpoints as the config's field of its name says, coarse to fine."""

    def items(run: LeastActionRun) -> list[int]:
        asked = run.config.model_dump()[name]
        return coarse_to_fine(TRAINING.checkpoints(run))[:asked]

    def compute(run: LeastActionRun, step: int) -> Arrays:
        model = TRAINING.model(run, step).to(run.device)
        return measure(run.config, model, run.device)

    return ArrayStage(
        f"least-action/{name}",
        fields=("n_steps", *fields),
        needs=(TRAINING,),
        items=items,
        sources=TRAINING.weights_source,
        compute=compute,
        agreement=compared,
    )


SENSITIVITY = _stage(
    "sensitivities",
    measuring.sensitivity,
    agreement(input_jacobian=1e-6, input_hessian_trace=1e-6),
)
TRACES = _stage("traces", measuring.traces, agreement(hessian_trace=1e-6, fisher_trace=1e-6))
SPECTRA = _stage("spectra", measuring.spectra, agreement(eigenvalues=1e-5), fields=("eigenpairs",))
MAPS = _stage("maps", measuring.maps, agreement(power=1e-4))

EXPERIMENT = Experiment(
    LeastActionConfig,
    (TRAINING, SENSITIVITY, TRACES, SPECTRA, MAPS),
    cost="a minute or two on one core",
    grid=LeastActionGrid,
)
run = EXPERIMENT.run
