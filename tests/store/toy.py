"""An experiment of milliseconds: a linear model, norms of its weights, and sums of the norms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from hdlib.store import (
    Arrays,
    ArrayStage,
    Config,
    Experiment,
    Registry,
    Run,
    agreement,
    file_name,
)
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Resolution,
    Schedule,
    State,
    TrainingStage,
    moment,
    state_name,
    supervised,
)


class Toy(Config):
    """What is trained and measured."""

    experiment: ClassVar[str] = "toy"

    seed: Annotated[int, Field(ge=0)] = 0
    optimizer: Literal["sgd", "momentum", "adam"] = "sgd"
    batch_size: Annotated[int, Field(ge=1)] = 20
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    by: Annotated[float, Field(gt=0)] = 1e9
    """Change of the weights' sum that makes a checkpoint."""
    n_steps: Annotated[int, Field(ge=1)] = 30
    scale: float = 1.0
    power: int = 2
    device: Literal["auto", "cpu"] = "cpu"


def _schedule(config: Toy) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=range(0, config.n_steps + 1, 15),
        log_steps=range(0, config.n_steps + 1, 5),
        resolution=Resolution("sum", config.by),
    )


def _plan(config: Toy, device: torch.device) -> Plan:
    generator = torch.Generator().manual_seed(config.seed)
    inputs = torch.randn(20, 3, generator=generator)
    targets = torch.randint(0, 2, (20,), generator=generator)
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model = nn.Sequential(nn.Dropout(config.dropout), linear)
    optimizer = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=0.5),
        "momentum": lambda: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "adam": lambda: torch.optim.AdamW(model.parameters(), lr=0.1),
    }[config.optimizer]()
    batches = Batches(inputs, targets, size=config.batch_size, seed=config.seed)
    return Plan(model, optimizer, batches, supervised(F.cross_entropy), [Log(_weights_sum)])


def _weights_sum(state: State) -> dict[str, float]:
    return {"sum": sum(float(p.detach().double().sum()) for p in state.model.parameters())}


TRAINING = TrainingStage(
    "toy/training",
    fields=("seed", "optimizer", "batch_size", "dropout", "by"),
    model=lambda config: _plan(config, torch.device("cpu")).model,
    schedule=_schedule,
    plan=_plan,
    published=lambda run: TRAINING.checkpoints(run)[-1:],
)


def _norms(run: Run[Toy], step: int) -> Arrays:
    weights = TRAINING.weights(run, step).values()
    return {"norm": np.array([run.config.scale * float(w.norm()) for w in weights])}


def _sums(run: Run[Toy], item: str) -> Arrays:
    norms = [run.arrays(NORMS, step)["norm"] for step in TRAINING.checkpoints(run)]
    return {"sum": (np.stack(norms) ** run.config.power).sum(0)}


NORMS = ArrayStage(
    "toy/norms",
    fields=("scale",),
    needs=(TRAINING,),
    items=lambda run: TRAINING.checkpoints(run),
    sources=TRAINING.weights_source,
    compute=_norms,
    agreement=agreement(norm=1e-9),
)
SUMS = ArrayStage(
    "toy/sums",
    fields=("power", "n_steps"),
    needs=(NORMS,),
    items=lambda run: ["all"],
    sources=lambda run, item: [(NORMS, file_name(step)) for step in TRAINING.checkpoints(run)],
    compute=_sums,
    agreement=agreement(sum=1e-9),
)


def _moments(run: Run[Toy], step: int) -> Arrays:
    return {"moment": moment(TRAINING.state(run, step), "exp_avg_sq").numpy()}


MOMENTS = ArrayStage(
    "toy/moments",
    fields=(),
    needs=(TRAINING,),
    items=lambda run: [step for step in TRAINING.checkpoints(run) if step],
    sources=lambda run, step: [(TRAINING, state_name(step))],
    compute=_moments,
    agreement=agreement(moment=1e-6),
)

TOY = Experiment(Toy, (TRAINING, NORMS, SUMS), cost="no time")
WITH_MOMENTS = Experiment(Toy, (TRAINING, NORMS, MOMENTS), cost="no time")
REGISTRY = Registry([TOY])


def contents(root: Path, *, manifests: bool = False) -> dict[str, bytes]:
    """Bytes of every file below a root, by name; without locks, and without manifests."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and (manifests or path.suffix != ".jsonl")
    }


def folder(run: Run[Any], stage: Any, root: Path) -> Path:
    """The folder of a stage below a root."""
    return root / stage.name / stage.key(run.config)
