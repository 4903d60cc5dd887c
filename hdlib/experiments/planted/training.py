"""Training a network on several tasks at once, and what is logged of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.experiments.planted.config import PlantedConfig, PlantedSettings
from hdlib.store import Run
from hdlib.training import Batches, Log, Plan, Schedule, State, TrainingStage


def circuit_losses(config: PlantedSettings, outputs: Tensor, targets: Tensor) -> Tensor:
    """(T,) cross-entropy of each circuit, added up over its heads.

    Args:
        config: sizes.
        outputs: (n, O).
        targets: (n, T).
    """
    each = [
        F.cross_entropy(outputs[:, part].double(), targets[:, circuit])
        for part, circuit in zip(config.outputs, config.head_circuits, strict=True)
    ]
    of = config.head_circuits
    return torch.stack(
        [
            torch.stack([loss for loss, c in zip(each, of, strict=True) if c == circuit]).sum()
            for circuit in range(len(config.moduli))
        ]
    )


def weighted_loss(config: PlantedSettings) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss whose Hessian is taken: ρ times that of the first circuit, and all others."""
    weights = torch.tensor([config.rho] + [1.0] * (len(config.moduli) - 1), dtype=torch.float64)
    return lambda outputs, targets: weights @ circuit_losses(config, outputs, targets)


def _schedule(config: PlantedConfig) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=config.checkpoints,
        log_steps=range(0, config.n_steps + 1, config.log_every),
    )


def _plan(config: PlantedConfig, device: torch.device) -> Plan:
    model, task = config.model().to(device), config.task
    loss = weighted_loss(config)

    def objective(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        squares = torch.stack([parameter.square().sum() for parameter in model.parameters()])
        return loss(model(inputs), targets) + config.l2 * squares.sum()

    return Plan(
        model,
        torch.optim.Adam(model.parameters(), lr=config.lr, fused=True),
        Batches(config.encode(task.train).to(device), task.train.targets.to(device)),
        objective,
        [Log(_evaluation(config, device), config.log_every)],
        seed=config.seed,
        one_thread=True,
    )


def _evaluation(config: PlantedConfig, device: torch.device) -> Callable[[State], dict[str, float]]:
    """Loss and accuracy of each circuit on training samples, accuracy in new company, unseen."""
    sets = {
        name: (config.encode(sums).to(device), sums.targets.to(device))
        for name, sums in zip(("train", "company", "unseen"), config.task, strict=True)
        if sums is not None
    }

    def measure(state: State) -> dict[str, float]:
        found = {}
        with torch.no_grad():
            for name, (inputs, targets) in sets.items():
                outputs = state.model(inputs)
                if name == "train":
                    for circuit, loss in enumerate(circuit_losses(config, outputs, targets)):
                        found[f"loss_{circuit}"] = loss.item()
                for circuit in range(len(config.moduli)):
                    heads = [
                        outputs[:, part].argmax(1) == targets[:, circuit]
                        for part, of in zip(config.outputs, config.head_circuits, strict=True)
                        if of == circuit
                    ]
                    found[f"{name}_{circuit}"] = torch.stack(heads).double().mean().item()
        return found

    return measure


def _published(run: Run[PlantedConfig]) -> list[int]:
    return []


TRAINING = TrainingStage(
    "planted/training",
    fields=(
        *("moduli", "widths", "heads", "unit", "frequencies", "train_fraction", "samples"),
        *("shuffled", "rho", "lr", "l2", "log_every", "alpha", "seed"),
    ),
    model=PlantedConfig.model,
    schedule=_schedule,
    plan=_plan,
    published=_published,
    extendable=lambda run: False,
)


MEMORISED = 0.99
"""Accuracy of every circuit on its training samples from which on a network has memorised them."""


def spectrum_steps(run: Run[PlantedConfig]) -> list[int]:
    """Checkpoints with a spectrum: all, or the first, the first memorised one, and the last."""
    config = run.config
    if config.followed:
        return config.checkpoints
    found = memorised_step(run)
    return sorted({0, config.n_steps} | ({found} if found is not None else set()))


def memorised_step(run: Run[PlantedConfig]) -> int | None:
    """The first checkpoint at which all circuits know their training samples; None for none."""
    history = TRAINING.history(run)
    for step, *accuracies in zip(
        history["step"],
        *(history[f"train_{c}"] for c in range(len(run.config.moduli))),
        strict=True,
    ):
        if step in run.config.checkpoints and min(accuracies) >= MEMORISED:
            return int(step)
    return None
