"""A small training, whole and in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from hdlib.store import Stored
from hdlib.training import Batches, Log, Plan, Schedule, evaluation, supervised, train

SAMPLES, SEED, STEPS = 50, 3, 12
CHECKPOINTS = [0, 2, 7, 12]
SCHEDULE = Schedule.of(STEPS, checkpoints=CHECKPOINTS, log_steps=[0, 4, 8, 12])
OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.1),
    "momentum": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    "AdamW": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "fused AdamW": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1, fused=True),
}


class KilledError(Exception):
    pass


def data(n: int = SAMPLES, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def plan(
    make=OPTIMIZERS["momentum"],
    *,
    size: int | None = 16,
    dies_after: int | None = None,
    dropout: float = 0.0,
    logs: Iterable[Log] = (),
    **settings,
) -> Plan:
    """The training at its start; it is killed in an update where that is asked for."""
    model, left = network(dropout), dies_after
    step_loss = supervised(F.cross_entropy)

    def loss(model, inputs, targets):
        nonlocal left
        if left is not None:
            left -= 1
            if left < 0:
                raise KilledError
        return step_loss(model, inputs, targets)

    measured = Log(evaluation(F.cross_entropy, data(), data(20, 1)))
    return Plan(
        model,
        make(model.parameters()),
        Batches(*data(), size=size, seed=SEED),
        loss,
        [measured, *logs],
        seed=SEED,
        **settings,
    )


def files_in(root: Path) -> Stored:
    return Stored([root], {"stage": "small/training"})


def trained(
    root: Path, start: Plan | None = None, schedule: Schedule = SCHEDULE, *, also=()
) -> Stored:
    stored = files_in(root)
    with stored.writing({}):
        train(stored, start or plan(), schedule, also=also)
    return stored


def contents(stored: Stored, kind: str = "") -> dict[str, bytes]:
    """The bytes of all files whose names start with a word."""
    return {name: stored.read(name) for name in stored.names() if name.startswith(kind)}
