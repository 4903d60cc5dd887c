"""LeNet-tiny and its training, which chapters share."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import ceil
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator

from hdlib.curvature import hessian
from hdlib.experiments.room import require_matrices
from hdlib.models import LeNetTiny
from hdlib.store import Config, Run, Stage
from hdlib.tasks import TRAIN_SIZE, Dataset, Images, Split, load_images, shuffled_labels
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Schedule,
    TrainingStage,
    checkpoint_steps,
    evaluation,
    seeded,
    supervised,
)

SEEDS = 2**63
MOST_EPOCHS = 10_000
LARGEST_WIDTH = 1_000


class LeNetTraining(Config):
    """What is trained: LeNet-tiny, by SGD with momentum."""

    dataset: Dataset = "mnist"
    n_epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 30
    lr: Annotated[float, Field(gt=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_size: Annotated[int, Field(ge=1)] = 128
    width: Annotated[int, Field(ge=1, le=LARGEST_WIDTH)] = 8
    """Channels of the first convolution; 8 gives 5,994 parameters."""
    seed: Annotated[int, Field(ge=0, lt=SEEDS)] = 42
    """Of the initial weights and the order of the batches."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _batch_fits(self) -> LeNetTraining:
        self.require_at_most("batch_size", TRAIN_SIZE[self.dataset])
        return self

    def require_at_most(self, name: str, most: int) -> None:
        """Refuse a field that is larger than the data set, or another field, allows.

        Raises:
            ValueError: if it is larger; names the field, its value and what is allowed.
        """
        if (value := getattr(self, name)) > most:
            raise ValueError(f"{name}={value}: at most {most} for {self.dataset}")

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch; the last batch may be smaller."""
        return ceil(TRAIN_SIZE[self.dataset] / self.batch_size)

    @property
    def checkpoints(self) -> list[int]:
        """Steps at which weights are kept and Hessians computed."""
        return checkpoint_steps(self.n_epochs, self.steps_per_epoch)

    @property
    def label_seed(self) -> int | None:
        """Of the permutation of the training labels; None for those of the data."""
        return None

    def model(self) -> LeNetTiny:
        """The network at its initial weights."""
        with seeded(self.seed):
            return LeNetTiny(self.width)


class LabelledTraining(LeNetTraining):
    """The same with the labels of the data, or with these permuted among the training images."""

    shuffled_labels: bool = False
    """Whether labels are permuted, once and from the seed: there are no classes to be learnt."""

    @property
    def label_seed(self) -> int | None:
        """Of the permutation of the training labels; None for those of the data."""
        return self.seed if self.shuffled_labels else None


def log_spaced(steps: list[int], count: int) -> list[int]:
    """At most ``count`` of ascending steps, the nearest to evenly spaced ones in log(1 + step)."""
    scale = np.log1p(steps)
    targets = np.linspace(scale[0], scale[-1], count)
    return [steps[i] for i in np.unique(np.abs(scale[:, None] - targets).argmin(0))]


def _schedule(config: LeNetTraining) -> Schedule:
    epochs = range(config.n_epochs + 1)
    return Schedule.of(
        config.n_epochs * config.steps_per_epoch,
        checkpoints=config.checkpoints,
        log_steps=[epoch * config.steps_per_epoch for epoch in epochs],
    )


def _plan(config: LeNetTraining, device: torch.device) -> Plan:
    train, test = images(config.dataset, device, config.label_seed)
    model = config.model().to(device)
    return Plan(
        model,
        torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum),
        Batches(train.inputs, train.targets, size=config.batch_size, seed=config.seed),
        supervised(F.cross_entropy),
        [Log(evaluation(F.cross_entropy, train, test))],
        seed=config.seed,
    )


def _labelled_plan(config: LabelledTraining, device: torch.device) -> Plan:
    """The same in one thread, so that its sums do not depend on how many there are.

    Its history is of as many training images, the first, as there are test images.
    """
    train, test = images(config.dataset, device, config.label_seed)
    few = Split(*(part[: len(test.targets)] for part in train))
    log = Log(evaluation(F.cross_entropy, few, test))
    return replace(_plan(config, device), logs=[log], one_thread=True)


FIELDS = ("dataset", "lr", "momentum", "batch_size", "width", "seed")
TRAINING = TrainingStage(
    "lenet/training", fields=FIELDS, model=LeNetTraining.model, schedule=_schedule, plan=_plan
)
LABELLED_TRAINING = TrainingStage(
    "lenet/labels",
    fields=(*FIELDS, "shuffled_labels"),
    model=LabelledTraining.model,
    schedule=_schedule,
    plan=_labelled_plan,
    extendable=lambda run: False,
)
"""Of a `LabelledTraining`."""


def _training(run: Run[Any]) -> TrainingStage[LeNetTiny]:
    (stage,) = (stage for stage in run.stages if isinstance(stage, TrainingStage))
    return stage


def weights_at(run: Run[Any], step: int) -> list[tuple[Stage, str]]:
    """The file of the weights at a checkpoint, as a source of other files."""
    return _training(run).weights_source(run, step)


def model_at(run: Run[Any], step: int) -> LeNetTiny:
    """The network at a checkpoint, on the CPU."""
    return _training(run).model(run, step)


def hessian_at(run: Run[Any], step: int, data: Split) -> torch.Tensor:
    """The exact Hessian of the cross-entropy over some images at a checkpoint, (P, P) float64."""
    return hessian(model_at(run, step).to(run.device), F.cross_entropy, data)


@lru_cache(maxsize=1)
def images(dataset: Dataset, device: torch.device, label_seed: int | None = None) -> Images:
    """Training and test images on a device; those asked for last are kept.

    Training labels are permuted where there is a seed for it; the test images keep theirs.
    """
    parts = load_images(dataset)
    if label_seed is not None:
        parts = Images(shuffled_labels(parts.train, seed=label_seed), parts.test)
    return Images(*(Split(part.inputs.to(device), part.targets.to(device)) for part in parts))


def hessian_data(run: Run[Any], samples: int) -> Split:
    """The first ``samples`` of a random order of the training data, drawn from ``hessian_seed``."""
    order = np.random.default_rng(run.config.hessian_seed).permutation(
        TRAIN_SIZE[run.config.dataset]
    )
    return chosen(run, order[:samples])


def chosen(run: Run[Any], samples: np.ndarray) -> Split:
    """Training images of these indices, on the run's device."""
    train = images(run.config.dataset, run.device, run.config.label_seed).train
    indices = torch.from_numpy(samples).to(run.device)
    return Split(train.inputs[indices], train.targets[indices])


def require_room(config: LeNetTraining) -> None:
    """Refuse a network whose Hessian cannot fit, before it is trained.

    Raises:
        MemoryError: if it does not; names the width, and what is there.
    """
    n = sum(p.numel() for p in LeNetTiny(config.width).parameters())
    require_matrices("width", config.width, n)
