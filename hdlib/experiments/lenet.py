"""How LeNet-tiny is trained: the fields that its chapters share."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hdlib.config import Config
from hdlib.tasks import TRAIN_SIZE, Dataset
from hdlib.training import checkpoint_steps


class LeNetTraining(Config):
    """What is trained: LeNet-tiny, by SGD with momentum."""

    dataset: Dataset = "mnist"
    n_epochs: Annotated[int, Field(ge=1)] = 30
    lr: Annotated[float, Field(gt=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_size: Annotated[int, Field(ge=1)] = 128
    width: Annotated[int, Field(ge=1)] = 8
    """Channels of the first convolution; 8 gives 5,994 parameters."""
    seed: Annotated[int, Field(ge=0)] = 42
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


def log_spaced(steps: list[int], count: int) -> list[int]:
    """At most ``count`` of ascending steps, the nearest to evenly spaced ones in log(1 + step)."""
    scale = np.log1p(steps)
    targets = np.linspace(scale[0], scale[-1], count)
    return [steps[i] for i in np.unique(np.abs(scale[:, None] - targets).argmin(0))]
