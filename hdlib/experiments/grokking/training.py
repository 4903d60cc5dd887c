"""Training a transformer on pairs, full batch, and which of its checkpoints are kept."""

from __future__ import annotations

from typing import TypeAlias

import torch

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.store import Run
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Resolution,
    Schedule,
    TrainingStage,
    adamw,
    coarse_to_fine,
    cross_entropy_float64,
    evaluation,
    grokking_steps,
    known_pairs_step,
)

RESOLUTION = Resolution("test_accuracy", 0.08)
VARIED = ("n_heads", "attention", "train_fraction")
SEEDS = (0, 1, 2)
"""Of the networks that are compared at their ends."""

GrokkingRun: TypeAlias = Run[GrokkingConfig]


def _schedule(config: GrokkingConfig) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=grokking_steps(config.n_steps),
        log_steps=range(0, config.n_steps + 1, config.log_every),
        resolution=RESOLUTION,
    )


def _plan(config: GrokkingConfig, device: torch.device) -> Plan:
    model = config.model().to(device)
    train, test = (
        (part.tokens().to(device), part.targets.to(device))
        for part in (config.task.train, config.task.test)
    )
    optimizer = adamw(
        model,
        lr=config.lr,
        weight_decay=config.weight_decay,
        beta1=config.beta1,
        beta2=config.beta2,
    )
    return Plan(
        model,
        optimizer,
        Batches(*train),
        known_pairs_step(model, train[0]),
        [Log(evaluation(cross_entropy_float64, train, test))],
        seed=config.seed,
        one_thread=True,
    )


def kept_steps(run: GrokkingRun) -> list[int]:
    """Checkpoints at which the function is looked at, coarse to fine."""
    return coarse_to_fine(TRAINING.checkpoints(run))[: run.config.stored_weights]


def _published(run: GrokkingRun) -> list[int]:
    """The same, but none of further seeds where heads, attention or the number of pairs are varied.

    Nor of seeds beyond those that are compared: of all these it is spectra and measures that are
    looked at, and all weights would be more than git should hold.
    """
    config, usual = run.config, GrokkingConfig()
    varied = any(getattr(config, name) != getattr(usual, name) for name in VARIED)
    varied |= config.seed not in SEEDS
    same_block = config.activation == usual.activation and not config.mlp_width
    return [] if config.seed and varied and same_block else kept_steps(run)


TRAINING = TrainingStage(
    "grokking/training",
    fields=(
        *("p", "operation", "train_fraction", "width", "n_heads", "activation", "mlp_width"),
        *("equals_logit", "attention", "init_scale", "matrix_start"),
        *("lr", "weight_decay", "beta1", "beta2", "log_every", "seed"),
    ),
    model=GrokkingConfig.model,
    schedule=_schedule,
    plan=_plan,
    published=_published,
    extendable=lambda run: run.config.stored_weights > 1 and run.config.seed in SEEDS,
    version=2,
)
