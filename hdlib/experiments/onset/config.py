"""What is trained and followed closely: one network, and the grid of the chapter."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hdlib.models import ModularTransformer
from hdlib.store import Config, Grid
from hdlib.tasks import ModularTask, is_prime, modular_task
from hdlib.training import seeded

LARGEST_P = 1_000
LARGEST_WIDTH = 10_000
MOST_STEPS = 10_000_000
LARGEST_SEED = 2**63 - 1
MOST_EIGENPAIRS = 200

Fraction = Annotated[float, Field(gt=0, lt=1)]
Modulus = Annotated[int, Field(ge=5, le=LARGEST_P)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], Field(min_length=1)]


class OnsetSettings(Config):
    """What all networks of a grid have in common: transformers on a + b, with AdamW."""

    experiment: ClassVar[str] = "onset"

    width: Annotated[int, Field(ge=1, le=LARGEST_WIDTH)] = 128
    n_heads: Annotated[int, Field(ge=1)] = 1
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 2_800
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    """Steps between checkpoints, each with a spectrum."""
    eigenpairs: Annotated[int, Field(ge=4, le=MOST_EIGENPAIRS)] = 40
    """Leading ones of the Hessian at each checkpoint."""
    tol: Annotated[float, Field(gt=0)] = 1e-5
    """Largest residual of an eigenpair over the largest λ."""
    coefficients: Annotated[int, Field(ge=1)] = 15
    """Checkpoints with local learning coefficients, at most: coarse to fine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _heads(self) -> OnsetSettings:
        if self.width % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads}: must divide width={self.width}")
        return self


class OnsetConfig(OnsetSettings):
    """One network.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    p: Modulus = 113
    """Modulus, a prime."""
    train_fraction: Fraction = 0.4
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of the split and the initial weights."""

    @model_validator(mode="after")
    def _possible_together(self) -> OnsetConfig:
        if not is_prime(self.p):
            raise ValueError(f"p={self.p}: must be a prime")
        if not int(self.train_fraction * self.p**2):
            raise ValueError(
                f"train_fraction={self.train_fraction}: none of {self.p**2} pairs to train on"
            )
        if self.eigenpairs > (n := (2 * self.p + 4 + 4 * self.width) * self.width):
            raise ValueError(f"eigenpairs={self.eigenpairs}: at most {n}, the parameters")
        return self

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(self.p, train_fraction=self.train_fraction, seed=self.seed)

    @property
    def checkpoints(self) -> list[int]:
        """Steps at which the spectrum is looked at, ascending."""
        return sorted({*range(0, self.n_steps, self.checkpoint_every), self.n_steps})

    def model(self) -> ModularTransformer:
        """The network at its initial weights."""
        with seeded(self.seed):
            return ModularTransformer(
                self.p, width=self.width, n_heads=self.n_heads, activation="relu"
            )


class OnsetGrid(OnsetSettings, Grid):
    """The chapter's networks: each modulus from each seed, and some with too few pairs."""

    moduli: Annotated[tuple[Modulus, ...], Field(min_length=1)] = (59, 113)
    """The first is the one that the chapter's claims are about; the others try them again."""
    seeds: Seeds = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    fractions: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0.6, 0.4)
    """Training fraction of each modulus, with which networks generalise in the steps."""
    few: Fraction = 0.15
    """Training fraction of networks that do not generalise."""
    few_seeds: Seeds = (0, 1, 2)
    """Of these."""

    @model_validator(mode="after")
    def _one_each(self) -> OnsetGrid:
        if len({*self.moduli}) != len(self.moduli):
            raise ValueError(f"moduli={list(self.moduli)}: each once")
        if len(self.fractions) != len(self.moduli):
            raise ValueError(
                f"fractions={list(self.fractions)}: one for each of moduli={list(self.moduli)}"
            )
        return self

    @property
    def followed(self) -> dict[int, list[OnsetConfig]]:
        """Networks that generalise, by modulus."""
        return {
            p: [self._config(p, fraction, seed) for seed in self.seeds]
            for p, fraction in zip(self.moduli, self.fractions, strict=True)
        }

    @property
    def controls(self) -> dict[int, list[OnsetConfig]]:
        """Networks with too few pairs, by modulus."""
        return {
            p: [self._config(p, self.few, seed) for seed in self.few_seeds] for p in self.moduli
        }

    @property
    def configs(self) -> list[OnsetConfig]:
        """All of them, the large ones first."""
        groups = [*self.followed.items(), *self.controls.items()]
        return [c for _, group in sorted(groups, key=lambda item: -item[0]) for c in group]

    def _config(self, p: int, train_fraction: float, seed: int) -> OnsetConfig:
        common = {n: v for n, v in self.model_dump().items() if n in OnsetSettings.model_fields}
        return OnsetConfig(**common, p=p, train_fraction=train_fraction, seed=seed)
