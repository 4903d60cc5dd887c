"""Networks whose modules are compared: seeds and labels."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hdlib.experiments.fiedler.config import CHOSEN, EARLY
from hdlib.experiments.lenet import SEEDS, LabelledTraining, log_spaced
from hdlib.store import Grid
from hdlib.tasks import TRAIN_SIZE, Dataset
from hdlib.training import coarse_to_fine

Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
MOST = 25
"""All checkpoints of 30 epochs: one to two minutes of a core each, in six networks."""

NULLS = 1
"""The last checkpoint: without structure a matrix takes several minutes."""


class FiedlerLabelsConfig(LabelledTraining):
    """One network, the images of its Hessians, and how many of these are taken apart."""

    experiment: ClassVar[str] = "fiedler-labels"

    hessian_samples: Annotated[int, Field(ge=1)] = 1_000
    hessian_seed: Seed = 42
    """Of the choice of training samples for the Hessians."""
    modules: Annotated[int, Field(ge=1)] = MOST
    """Checkpoints with modules, at most: those shown, the early ones, then coarse to fine."""
    nulls: Annotated[int, Field(ge=0)] = NULLS
    """Of these, checkpoints with modules of the null, at most: the last, the first, and so on."""

    @model_validator(mode="after")
    def _samples_fit(self) -> FiedlerLabelsConfig:
        self.require_at_most("hessian_samples", TRAIN_SIZE[self.dataset])
        return self

    @property
    def order(self) -> list[int]:
        """Checkpoints in the order in which they are computed, so that few tell of all."""
        early = [step for step in self.checkpoints if step <= EARLY]
        shown = log_spaced(self.checkpoints, CHOSEN)
        return list(dict.fromkeys([*shown, *early, *coarse_to_fine(self.checkpoints)]))

    @property
    def null_steps(self) -> list[int]:
        """Checkpoints with modules of the null."""
        return coarse_to_fine(sorted(self.order[: self.modules]))[: self.nulls]


class FiedlerLabelsGrid(Grid):
    """Each seed with the labels of the data and with shuffled ones.

    Images of the Hessians are drawn from the same seed, so that seeds share nothing.
    """

    experiment: ClassVar[str] = "fiedler-labels"

    dataset: Dataset = "mnist"
    width: int = 8
    """Channels of the first convolution."""
    n_epochs: int = 30
    """Training epochs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (47, 48, 49)
    """Of weights, batches, images of the Hessians and permuted labels; of this study alone."""
    hessian_samples: int = 1_000
    """Images of a Hessian."""
    modules: int = MOST
    """Checkpoints with modules, at most."""
    nulls: int = NULLS
    """Checkpoints with modules of the null, at most."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def configs(self) -> list[FiedlerLabelsConfig]:
        """Configs of all runs."""
        shared = self.model_dump(exclude={"seeds"})
        return [
            FiedlerLabelsConfig(**shared, seed=seed, hessian_seed=seed, shuffled_labels=shuffled)
            for seed in self.seeds
            for shuffled in (False, True)
        ]
