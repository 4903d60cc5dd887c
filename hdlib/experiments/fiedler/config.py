"""What the Fiedler chapter's trees are of, and the checkpoints that follow from it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from hdlib.experiments.lenet import SEEDS, LeNetTraining, log_spaced
from hdlib.tasks import TRAIN_SIZE

CHOSEN = 4
"""Checkpoints shown in detail, evenly in log(1 + step)."""
EARLY = 50
"""Up to this step every checkpoint has trees of the Hessian's parts."""


class FiedlerConfig(LeNetTraining):
    """The network whose parameters are grouped, and the samples of its Hessians."""

    experiment: ClassVar[str] = "fiedler"

    hessian_samples: Annotated[int, Field(ge=1)] = 1_000
    hessian_seed: Annotated[int, Field(ge=0, lt=SEEDS)] = 42
    """Of the choice of training samples for the Hessians."""

    @model_validator(mode="after")
    def _samples_fit(self) -> FiedlerConfig:
        self.require_at_most("hessian_samples", TRAIN_SIZE[self.dataset])
        return self

    @property
    def chosen(self) -> list[int]:
        """Checkpoints shown in detail."""
        return log_spaced(self.checkpoints, CHOSEN)

    @property
    def parts(self) -> list[int]:
        """Checkpoints at which the two parts of the Hessian have trees of their own."""
        return sorted({*self.chosen, *(step for step in self.checkpoints if step <= EARLY)})

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last checkpoint."""
        return self.checkpoints[0], self.checkpoints[-1]


SECOND = FiedlerConfig(seed=43, n_epochs=1)
"""The first epoch from another seed, published beside the run of the defaults."""
