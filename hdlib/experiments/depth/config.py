"""What the depth experiment trains: one network, and the grid of them that the chapter shows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from hdlib.models import MLP, Encoding
from hdlib.store import Config, Grid
from hdlib.tasks import ModularTask, is_prime, modular_task
from hdlib.training import seeded

LARGEST_P = 1_000
LARGEST_WIDTH = 10_000
LARGEST_DEPTH = 100
MOST_STEPS = 10_000_000
LARGEST_SEED = 2**63 - 1

Optimizer = Literal["adam", "gd"]
Some = Annotated[tuple[int, ...], Field(min_length=1)]


class DepthConfig(Config):
    """One network: what it is, how it learns, and how its curvature is measured.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "depth"

    p: Annotated[int, Field(ge=3, le=LARGEST_P)] = 97
    """Modulus, a prime."""
    width: Annotated[int, Field(ge=1, le=LARGEST_WIDTH)] = 128
    """Hidden units of each layer, and columns of the table of embeddings."""
    depth: Annotated[int, Field(ge=1, le=LARGEST_DEPTH)] = 2
    """Hidden layers."""
    encoding: Encoding = "raw"
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    unordered: bool = False
    """Whether (a, b) and (b, a) are always on one side of the split."""
    optimizer: Optimizer = "adam"
    """Adam with decoupled weight decay, or plain gradient descent; full batches."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 10_000
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps between rows of the history."""
    sharpness_every: Annotated[int, Field(ge=1)] = 100
    """Steps between largest eigenvalues in the history."""
    spectra: Annotated[int, Field(ge=0)] = 16
    """Checkpoints at which the ends of the spectrum are computed, at most: coarse to fine."""
    eigenpairs: Annotated[int, Field(ge=2)] = 12
    """At each end of the spectrum."""
    exact: Annotated[int, Field(ge=0)] = 0
    """Checkpoints at which all eigenvalues of the Hessian as a matrix are computed, at most."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of the split and the initial weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _possible_together(self) -> DepthConfig:
        if not is_prime(self.p):
            raise ValueError(f"p={self.p}: must be a prime")
        if not 1 + self.unordered <= int(self.train_fraction * self.p**2):
            raise ValueError(
                f"train_fraction={self.train_fraction}: at least {1 + self.unordered} of "
                f"{self.p**2} pairs are needed to train on"
            )
        if 2 * self.eigenpairs > self.n_parameters:
            raise ValueError(
                f"eigenpairs={self.eigenpairs}: at most {self.n_parameters // 2}, as the network "
                f"has {self.n_parameters} parameters and so many eigenvalues at both ends together"
            )
        return self

    @property
    def n_parameters(self) -> int:
        """Number of the network's parameters."""
        h, table = self.width, self.encoding == "embedding"
        inputs = {"raw": 2, "standardised": 2, "one_hot": 2 * self.p, "embedding": 2 * h}
        hidden = (inputs[self.encoding] + 1) * h + (self.depth - 1) * (h**2 + h)
        return table * self.p * h + hidden + (h + 1) * self.p

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p,
            train_fraction=self.train_fraction,
            seed=self.seed,
            unordered=self.unordered,
        )

    def model(self) -> MLP:
        """The network at its initial weights."""
        with seeded(self.seed):
            return MLP(
                self.p,
                self.encoding,
                width=self.width,
                depth=self.depth,
                embedding_width=self.width,
            )


class DepthGrid(Grid):
    """The networks of the chapter: every depth from every seed, in three settings.

    The original's, with several encodings; one in which networks generalise; and plain gradient
    descent at several learning rates.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "depth"

    p: int = 97
    """Modulus, a prime."""
    width: int = 128
    """Hidden units of each layer, and columns of the table of embeddings."""
    depths: Some = (1, 2, 3, 4, 5, 6, 7)
    """Hidden layers."""
    other_depths: Some = (1, 2, 4)
    """The same, with all encodings but the first."""
    encodings: Annotated[tuple[Encoding, ...], Field(min_length=1)] = ("raw", "standardised")
    """How the networks are given a pair; with the first of these, every depth."""
    seeds: Some = (0, 1, 2)
    """Of the split and the initial weights."""
    train_fraction: float = 0.1
    """Of all pairs."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    n_steps: int = 10_000
    """Full-batch updates."""
    log_every: int = 100
    """Steps between rows of the history, each with a largest eigenvalue."""
    spectra: int = 16
    """Checkpoints with a spectrum, of the first seed, where the chapter shows all of training."""
    eigenpairs: int = 12
    """At each end of a spectrum."""
    exact: int = 3
    """Checkpoints with the exact Hessian, of one network with one hidden layer."""
    generalising_depths: tuple[int, ...] = (1, 2, 3)
    """Hidden layers."""
    generalising_fraction: float = 0.5
    """Of the pairs, split as unordered ones."""
    generalising_decay: float = 1.0
    """Weight decay."""
    generalising_lr: float = 3e-3
    """Learning rate of Adam."""
    generalising_steps: int = 4_000
    """Full-batch updates."""
    descent_depths: tuple[int, ...] = (2, 4)
    """Hidden layers."""
    descent_lrs: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Learning rates of plain gradient descent, on standardised integers."""
    descent_steps: int = 5_000
    """Full-batch updates."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def original(self) -> list[DepthConfig]:
        """The original's setting, with each encoding."""
        return [
            self._network(
                depth=depth,
                seed=seed,
                encoding=encoding,
                spectra=self._spectra(seed) if encoding == self.encodings[0] else self.few,
                exact=self.exact if (depth, seed, encoding) == self.compared else 0,
            )
            for encoding in self.encodings
            for seed in self.seeds
            for depth in sorted(self._depths(encoding), reverse=True)
        ]

    def _depths(self, encoding: Encoding) -> tuple[int, ...]:
        return self.depths if encoding == self.encodings[0] else self.other_depths

    def _spectra(self, seed: int) -> int:
        return self.spectra if seed == self.seeds[0] else self.few

    @property
    def compared(self) -> tuple[int, int, Encoding]:
        """Depth, seed and encoding of the network with exact Hessians: the smallest."""
        return min(self.depths), self.seeds[0], self.encodings[0]

    @property
    def few(self) -> int:
        """Checkpoints with a spectrum where the chapter does not show all of training."""
        return min(3, self.spectra)

    @property
    def generalising(self) -> list[DepthConfig]:
        """A setting in which networks generalise: half of the pairs, one-hot, weight decay."""
        return [
            self._network(
                depth=depth,
                seed=seed,
                encoding="one_hot",
                lr=self.generalising_lr,
                train_fraction=self.generalising_fraction,
                unordered=True,
                weight_decay=self.generalising_decay,
                n_steps=self.generalising_steps,
                spectra=self.few,
            )
            for seed in self.seeds
            for depth in sorted(self.generalising_depths, reverse=True)
        ]

    @property
    def descent(self) -> list[DepthConfig]:
        """Plain gradient descent, on standardised integers."""
        return [
            self._network(
                depth=depth,
                seed=seed,
                encoding="standardised",
                optimizer="gd",
                lr=lr,
                n_steps=self.descent_steps,
                spectra=self.few,
            )
            for seed in self.seeds
            for depth in sorted(self.descent_depths, reverse=True)
            for lr in self.descent_lrs
        ]

    @property
    def configs(self) -> list[DepthConfig]:
        """Configs of all runs."""
        return [*self.original, *self.generalising, *self.descent]

    def _network(self, **fields: Any) -> DepthConfig:
        """A network with what the chapter says of all, but for these fields."""
        known = DepthConfig.model_fields
        shared: dict[str, Any] = {
            name: value for name, value in self.model_dump().items() if name in known
        }
        shared |= {"sharpness_every": self.log_every, "exact": 0}
        return DepthConfig(**(shared | fields))
