"""From config to run."""

from __future__ import annotations

from typing import Any

import torch

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import Objective, encode
from hdlib.experiments.least_action.watching import watch
from hdlib.store import Experiment, Run
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Resolution,
    Schedule,
    TrainingStage,
    decay_groups,
    warm_up,
)

EARLY = (0, 100, 500, 1_000, 2_000)
RESOLVED = 0.25
"""Change of the test accuracy that makes a logged step a checkpoint."""


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
    objective = Objective(config, device)
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


MEASURED = ("n_steps", "sensitivities", "spectra", "eigenpairs", "maps", "checkpoint_every")
TRAINING = TrainingStage(
    "least-action/training",
    fields=tuple(n for n in LeastActionConfig.model_fields if n not in (*MEASURED, "device")),
    schedule=_schedule,
    plan=_plan,
    published=lambda run: [],
    extendable=False,
)
LeastActionRun = Run[LeastActionConfig]
EXPERIMENT = Experiment(LeastActionConfig, (TRAINING,), cost="five minutes on one core")
run = EXPERIMENT.run
