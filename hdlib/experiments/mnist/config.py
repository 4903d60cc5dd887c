"""What the MNIST chapter trains, and where it measures curvature."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from hdlib.experiments.lenet import SEEDS, LeNetTraining, log_spaced
from hdlib.tasks import TRAIN_SIZE

DRAW_SIZE = 50
"""Images of an independent draw."""
SWEEP_SIZES = (50, 200, 1_000, 10_000)


class MnistConfig(LeNetTraining):
    """What is trained, and where its curvature is measured."""

    experiment: ClassVar[str] = "mnist"

    hessian_samples: Annotated[int, Field(ge=1)] = 1_000
    hessian_seed: Annotated[int, Field(ge=0, lt=SEEDS)] = 42
    """Of the choice of training samples for the Hessians."""
    vectors: Annotated[int, Field(ge=10)] = 50
    """Eigenvectors computed at each end of the spectrum."""
    stored_vectors: Annotated[int, Field(ge=0)] = 10
    """How many of the top ones are stored."""
    sweep_checkpoints: Annotated[int, Field(ge=0, le=1_000)] = 3
    """At how many checkpoints the Hessian is computed from other numbers of samples, too."""
    draws: Annotated[int, Field(ge=0)] = 20
    """Independent draws of 50 samples for Hessians of the last checkpoint."""

    @model_validator(mode="after")
    def _samples_and_vectors_fit(self) -> MnistConfig:
        size = TRAIN_SIZE[self.dataset]
        self.require_at_most("hessian_samples", size)
        self.require_at_most("draws", size // DRAW_SIZE)
        self.require_at_most("stored_vectors", self.vectors)
        return self

    @property
    def sweep_steps(self) -> list[int]:
        """Checkpoints of the sample sweep, evenly in log(1 + step), the last among them."""
        return log_spaced(self.checkpoints, self.sweep_checkpoints + 1)[1:]

    @property
    def sweep_sizes(self) -> list[int]:
        """Numbers of Hessian samples of the sweep, up to the whole training set."""
        size = TRAIN_SIZE[self.dataset]
        return [n for n in SWEEP_SIZES if n < size] + [size]


SECOND = MnistConfig(seed=43, n_epochs=1, sweep_checkpoints=0, draws=0)
"""The first epoch from another seed, published beside the run of the defaults."""
