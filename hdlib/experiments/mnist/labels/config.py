"""Networks whose ninth gap is compared: seeds, labels, and early checkpoints."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hdlib.experiments.lenet import MOST_EPOCHS, SEEDS, LabelledTraining
from hdlib.store import Grid
from hdlib.tasks import TRAIN_SIZE, Dataset

EARLY = (0, 5, 10, 20, 30, 50, 70, 100, 200)
"""Checkpoints before the last one."""
LARGE = (50, 200, 469)
"""Checkpoints at which Hessians over more images are computed, too, where they are asked for."""
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]


class MnistLabelsConfig(LabelledTraining):
    """One network, and the images of its Hessians."""

    experiment: ClassVar[str] = "mnist-labels"

    n_epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 1
    hessian_samples: Annotated[int, Field(ge=1)] = 1_000
    hessian_seed: Seed = 42
    """Of the choice of training samples for the Hessians."""
    more_samples: Annotated[int, Field(ge=0)] = 0
    """Of further Hessians at a few checkpoints; 0 for none."""
    whole: Annotated[int, Field(ge=0, le=len(LARGE))] = 0
    """Of these, the last ones, at which there are Hessians over all training images."""

    @model_validator(mode="after")
    def _samples_fit(self) -> MnistLabelsConfig:
        for name in ("hessian_samples", "more_samples"):
            self.require_at_most(name, TRAIN_SIZE[self.dataset])
        return self

    @property
    def checkpoints(self) -> list[int]:
        """Steps at which weights are kept and Hessians computed."""
        last = self.n_epochs * self.steps_per_epoch
        return [*(step for step in EARLY if step < last), last]

    @property
    def spectra(self) -> list[tuple[int, int]]:
        """Checkpoints and numbers of images of the Hessians."""
        large = [step for step in LARGE if step in self.checkpoints]
        few = [(step, self.hessian_samples) for step in self.checkpoints]
        more = [(step, self.more_samples) for step in large if self.more_samples]
        every = [(step, TRAIN_SIZE[self.dataset]) for step in large[len(large) - self.whole :]]
        return [*few, *more, *every]


class MnistLabelsGrid(Grid):
    """Each seed with the labels of the data and with shuffled ones.

    Images of the Hessians are drawn from the same seed, so that seeds share nothing.
    """

    experiment: ClassVar[str] = "mnist-labels"

    dataset: Dataset = "mnist"
    width: int = 8
    """Channels of the first convolution."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (42, 43, 44, 45, 46)
    """Of weights, batches, images of the Hessians, and permutations of labels."""
    hessian_samples: int = 1_000
    """Images of a Hessian."""
    more_samples: int = 10_000
    """Images of further Hessians at a few checkpoints; these take half an hour."""
    whole: int = len(LARGE)
    """Of these checkpoints, the last ones, at which there are some of the first seed over all
    images, and of the others at one; these take an hour and a half."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def configs(self) -> list[MnistLabelsConfig]:
        """Configs of all runs."""
        shared = self.model_dump(exclude={"seeds", "whole"})
        return [
            MnistLabelsConfig(
                **shared,
                seed=seed,
                hessian_seed=seed,
                shuffled_labels=shuffled,
                whole=self.whole if seed == self.seeds[0] else min(self.whole, 1),
            )
            for seed in self.seeds
            for shuffled in (False, True)
        ]
