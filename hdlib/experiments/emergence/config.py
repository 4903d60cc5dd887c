"""What the emergence chapter trains and probes: one network, and the grid of the chapter."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import tyro
from pydantic import Field, model_validator

from hdlib.measures.concepts import CONCEPTS
from hdlib.models.mlp import MLP, Encoding
from hdlib.store import Config, Grid
from hdlib.tasks import ModularTask, is_prime, modular_task
from hdlib.training import seeded

LARGEST_P = 1_000
LARGEST_WIDTH = 10_000
MOST_STEPS = 10_000_000
LARGEST_SEED = 2**31 - 1

Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class EmergenceSettings(Config):
    """What all networks of a grid have in common.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "emergence"

    p: Annotated[int, Field(ge=3, le=LARGEST_P)] = 97
    """Modulus, an odd prime."""
    encoding: Encoding = "one_hot"
    depth: Annotated[int, Field(ge=1, le=5)] = 2
    """Hidden layers."""
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    # Without a value after it, a flag would swallow the False that papermill and people give.
    unordered: Annotated[bool, tyro.conf.FlagConversionOff] = True
    """Whether (x, y) and (y, x) are on the same side of the split."""
    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 2_000
    lr: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between rows of the history."""
    concepts: Annotated[tuple[str, ...], Field(min_length=1)] = tuple(CONCEPTS)
    before_relu: Annotated[bool, tyro.conf.FlagConversionOff] = False
    """Whether hidden layers are probed before their ReLU instead of after it."""
    probe_rows: Annotated[int, Field(ge=2)] = 2_000
    """Pairs that a probe is fitted on; it is scored on all others."""
    strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        1e-2,
        1e1,
    )
    """Inverse strengths C of the probes' penalty to choose from."""
    eigenpairs: Annotated[int, Field(ge=4)] = 24
    """Leading ones of the Hessian, where spectra are asked for."""
    tol: Annotated[float, Field(gt=0)] = 1e-4
    """Largest residual of an eigenpair over the largest |λ|."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _possible_together(self) -> EmergenceSettings:
        faults = [sentence for holds, sentence in self._demands() if not holds]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _demands(self) -> list[tuple[bool, str]]:
        """What must hold of several fields: whether it does, and the sentence if it does not."""
        pairs, trained = self.p**2, int(self.train_fraction * self.p**2)
        unknown = [name for name in self.concepts if name not in CONCEPTS]
        return [
            (
                self.p > 2 and is_prime(self.p),
                f"p={self.p}: must be an odd prime",
            ),
            (
                2 <= trained < pairs,
                f"train_fraction={self.train_fraction}: {trained} of {pairs} pairs to train on; "
                f"there must be at least two, and one to test",
            ),
            (
                self.probe_rows < pairs,
                f"probe_rows={self.probe_rows}: must be below {pairs}, the number of all pairs",
            ),
            (
                not unknown,
                f"concepts: {', '.join(unknown)} unknown; allowed are {', '.join(CONCEPTS)}",
            ),
        ]


class EmergenceConfig(EmergenceSettings):
    """One network, and where it is looked at."""

    width: Width = 64
    """Hidden units of each layer."""
    seed: Seed = 0
    """Of the split and the initial weights; the probes' rows are drawn from it, too."""
    probed: Annotated[int, Field(ge=2)] = 11
    """Checkpoints with probes: evenly spaced, the first and the last among them."""
    spectra: Annotated[int, Field(ge=0)] = 11
    """Checkpoints with the leading eigenpairs, likewise; 0 for none."""

    def _demands(self) -> list[tuple[bool, str]]:
        return [
            *super()._demands(),
            (
                not self.spectra or self.eigenpairs <= self.n_parameters,
                f"eigenpairs={self.eigenpairs}: at most {self.n_parameters}, the parameters of a "
                f"network of width {self.width}",
            ),
        ]

    @property
    def probe_steps(self) -> list[int]:
        """Checkpoints with probes, ascending."""
        return evenly(self.n_steps, self.probed)

    @property
    def spectrum_steps(self) -> list[int]:
        """Checkpoints with spectra, ascending."""
        return evenly(self.n_steps, self.spectra)

    @property
    def layers(self) -> list[str]:
        """Names of the layers that are probed, without the inputs."""
        return [*(f"hidden {layer + 1}" for layer in range(self.depth)), "logits"]

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        return sum(parameter.numel() for parameter in self.model().parameters())

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p, train_fraction=self.train_fraction, seed=self.seed, unordered=self.unordered
        )

    @property
    def probe_seed(self) -> int:
        """Seed of the probes' rows and controls: another one than that of the split."""
        return int(np.random.default_rng((self.seed, 1)).integers(LARGEST_SEED))

    def model(self) -> MLP:
        """The network at its initial weights."""
        with seeded(self.seed):
            return MLP(self.p, self.encoding, width=self.width, depth=self.depth)


class EmergenceGrid(EmergenceSettings, Grid):
    """The chapter's networks: each width from each seed, one width followed through training."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (16, 32, 64, 128, 256)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    followed: int = 64
    """Width that is probed through training; the others are before training and at its end."""
    probed: Annotated[int, Field(ge=2)] = 11
    """Checkpoints with probes of that width: evenly spaced, the first and the last among them."""
    spectra: Annotated[int, Field(ge=0)] = 11
    """Checkpoints with the leading eigenpairs of that width, likewise; 0 for none."""

    def _demands(self) -> list[tuple[bool, str]]:
        return [
            *super()._demands(),
            (
                self.followed in self.widths,
                f"followed={self.followed}: must be one of the widths, {list(self.widths)}",
            ),
            *(
                (len(set(values)) == len(values), f"{name}={list(values)}: must be different")
                for name, values in {"widths": self.widths, "seeds": self.seeds}.items()
            ),
        ]

    @property
    def configs(self) -> list[EmergenceConfig]:
        """The networks, the largest first: these take longest."""
        common = self.model_dump(exclude={"widths", "seeds", "followed", "probed", "spectra"})
        return [
            EmergenceConfig(
                **common,
                width=width,
                seed=seed,
                probed=self.probed if width == self.followed else 2,
                spectra=self.spectra if width == self.followed else 0,
            )
            for width in sorted(self.widths, reverse=True)
            for seed in self.seeds
        ]


ORIGINAL = EmergenceGrid(
    encoding="raw",
    train_fraction=0.8,
    unordered=False,
    n_steps=1_000,
    lr=1e-3,
    weight_decay=0.0,
    beta2=0.999,
    concepts=("parity of x", "x equals y"),
    before_relu=True,
    probe_rows=1_882,
    strengths=(1.0,),
    widths=(16, 64, 256),
    probed=2,
    spectra=0,
)
"""The setting of the original work, for fewer widths and steps: two raw integers, 80% of the pairs,
no weight decay, and probes with C = 1 on activations before the ReLU."""


def evenly(last: int, count: int) -> list[int]:
    """At most ``count`` steps from 0 to ``last``, evenly spaced up to rounding; the end if one."""
    return sorted({round(step) for step in np.linspace(last, 0, count)})
