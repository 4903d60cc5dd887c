"""What the grokking experiment trains, and how it measures curvature."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from hdlib.config import Config
from hdlib.experiments.grokking_measures import PROBED
from hdlib.models import Activation, ModularTransformer
from hdlib.tasks import ModularTask, Operation, modular_task


class GrokkingConfig(Config):
    """What is trained, and how its curvature is measured."""

    experiment: ClassVar[str] = "grokking"

    p: Annotated[int, Field(ge=3)] = 113
    """Modulus, a prime."""
    operation: Operation = "add"
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.4
    width: Annotated[int, Field(ge=1)] = 128
    n_heads: Annotated[int, Field(ge=1)] = 4
    activation: Activation = "relu"
    """After the attention block."""
    mlp_width: Annotated[int, Field(ge=0)] = 0
    equals_logit: bool = False
    """A logit for "=", too, as Nanda et al. have."""
    init_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the standard deviation of the initial embeddings."""
    n_steps: Annotated[int, Field(ge=1)] = 17_000
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps between rows of the history."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the split and the initial weights."""
    spectra: Annotated[int, Field(ge=0)] = 100
    """Checkpoints at which the spectrum is computed, at most: coarse to fine."""
    eigenpairs: Annotated[int, Field(ge=PROBED)] = 200
    """At each end of the spectrum."""
    max_products: Annotated[int, Field(ge=1)] = 1_200
    """Hessian-vector products of a search; pairs for which they do not suffice are marked."""
    tol: Annotated[float, Field(gt=0)] = 1e-6
    """Largest residual of an eigenpair over the largest |λ|."""
    stored_weights: Annotated[int, Field(ge=1)] = 15
    """Checkpoints of which the finished run keeps the weights, the last among them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _enough_products(self) -> GrokkingConfig:
        if self.max_products < 2 * self.eigenpairs:
            raise ValueError(
                f"max_products={self.max_products}: at least {2 * self.eigenpairs}, one for each "
                f"of {self.eigenpairs} pairs at both ends"
            )
        return self

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p, self.operation, train_fraction=self.train_fraction, seed=self.seed
        )

    def model(self) -> ModularTransformer:
        """The network at its initial weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return ModularTransformer(
                self.p,
                width=self.width,
                n_heads=self.n_heads,
                activation=self.activation,
                mlp_width=self.mlp_width,
                equals_logit=self.equals_logit,
                init_scale=self.init_scale,
            )
