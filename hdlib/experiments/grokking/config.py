"""What the grokking experiment trains, and how it measures curvature."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field, model_validator

from hdlib.experiments.grokking.measures import PROBED
from hdlib.models import Activation, AttentionKind, MatrixStart, ModularTransformer
from hdlib.store import Config
from hdlib.tasks import ModularTask, Operation, is_prime, modular_task
from hdlib.training import seeded

LARGEST_P = 1_000
"""The logits of all pairs are p³ numbers."""
LARGEST_WIDTH = 10_000
MOST_STEPS = 10_000_000
LARGEST_SEED = 2**63 - 1


class GrokkingConfig(Config):
    """What is trained, and how its curvature is measured.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "grokking"

    p: Annotated[int, Field(ge=3, le=LARGEST_P)] = 113
    """Modulus, a prime."""
    operation: Operation = "add"
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.4
    width: Annotated[int, Field(ge=1, le=LARGEST_WIDTH)] = 128
    n_heads: Annotated[int, Field(ge=1)] = 4
    activation: Activation = "relu"
    """After the attention block."""
    mlp_width: Annotated[int, Field(ge=0, le=LARGEST_WIDTH)] = 0
    # Without a value after it, a flag would swallow the False that papermill and people give.
    equals_logit: Annotated[bool, tyro.conf.FlagConversionOff] = False
    """A logit for "=", too, as Nanda et al. have."""
    attention: AttentionKind = "softmax"
    """What weighs a, b and "="; uniform attention has no queries and keys."""
    init_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the standard deviation of the initial embeddings."""
    matrix_start: MatrixStart = "normal"
    """What all other matrices are drawn from."""
    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 17_000
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps between rows of the history."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of the split and the initial weights."""
    spectra: Annotated[int, Field(ge=0)] = 40
    """Checkpoints at which the spectrum is computed, at most: coarse to fine."""
    lower_ends: Annotated[int, Field(ge=0)] = 4
    """Checkpoints of these at which the search goes on until the lower end is certified, too."""
    purities: Annotated[int, Field(ge=0)] = 40
    """Checkpoints at which the functions of the leading eigenvectors are looked at, likewise."""
    eigenpairs: Annotated[int, Field(ge=PROBED)] = 200
    """At each end of the spectrum."""
    max_products: Annotated[int, Field(ge=1)] = 1_200
    """Hessian-vector products of a search; pairs for which they do not suffice are marked."""
    tol: Annotated[float, Field(gt=0)] = 1e-6
    """Largest residual of an eigenpair over the largest |λ|."""
    stored_weights: Annotated[int, Field(ge=1)] = 15
    """Checkpoints of which the finished run keeps the weights, the last among them."""
    coefficients: Annotated[int, Field(ge=0)] = 15
    """Checkpoints of these with local learning coefficients, at most: coarse to fine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _possible_together(self) -> GrokkingConfig:
        faults = [sentence for holds, sentence in self._demands() if not holds]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _demands(self) -> list[tuple[bool, str]]:
        """What more than one field decides: whether it holds, and the sentence if it does not."""
        pairs, trained = self.p**2, int(self.train_fraction * self.p**2)
        ends = 2 * self.eigenpairs
        return [
            (
                is_prime(self.p),
                f"p={self.p}: must be a prime",
            ),
            (
                self.width % self.n_heads == 0,
                f"n_heads={self.n_heads}: must be a divisor of width, which is {self.width}",
            ),
            (
                1 <= trained < pairs,
                f"train_fraction={self.train_fraction}: {trained} of {pairs} pairs to train on; "
                f"there must be at least one, and one to test",
            ),
            (
                ends <= self.n_parameters,
                f"eigenpairs={self.eigenpairs}: at most {self.n_parameters // 2}, as the network "
                f"has {self.n_parameters} parameters and so many eigenvalues at both ends together",
            ),
            (
                ends <= self.max_products,
                f"max_products={self.max_products}: at least {ends}, one for each "
                f"of {self.eigenpairs} pairs at both ends",
            ),
        ]

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        matrices = 4 if self.attention == "softmax" else 2
        attention = (2 * self.p + 4 + self.equals_logit + matrices * self.width) * self.width
        mlp = self.mlp_width * (2 * self.width + 1) + self.width if self.mlp_width else 0
        return attention + mlp

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p, self.operation, train_fraction=self.train_fraction, seed=self.seed
        )

    def model(self) -> ModularTransformer:
        """The network at its initial weights."""
        with seeded(self.seed):
            return ModularTransformer(
                self.p,
                width=self.width,
                n_heads=self.n_heads,
                activation=self.activation,
                mlp_width=self.mlp_width,
                equals_logit=self.equals_logit,
                attention=self.attention,
                init_scale=self.init_scale,
                matrix_start=self.matrix_start,
            )
