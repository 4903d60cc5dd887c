"""What the planted chapter trains: networks in which the circuits are known, and their grids."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor

from hdlib.models.planted import PlantedNetwork, Unit
from hdlib.store import Config, Grid
from hdlib.tasks import Sums, SumsTask, sums_task
from hdlib.training import seeded

MOST_CIRCUITS = 6
LARGEST_MODULUS = 101
LARGEST_WIDTH = 200
MOST_SAMPLES = 100_000
MOST_STEPS = 1_000_000
LARGEST_SEED = 2**31 - 1
STEPS = (0, 50, 100, 200, 300, 500, 700, 1_000)
"""Steps of which weights are kept, beside the last."""

Alpha = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Modulus = Annotated[int, Field(ge=3, le=LARGEST_MODULUS)]
Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]
Heads = Annotated[int, Field(ge=1, le=10)]
Circuits = Field(min_length=1, max_length=MOST_CIRCUITS)


class PlantedSettings(Config):
    """What all networks of a grid have in common.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    experiment: ClassVar[str] = "planted"

    moduli: Annotated[tuple[Modulus, ...], Circuits] = (11, 13)
    """One circuit each: a + b mod 11 and c + d mod 13."""
    widths: Annotated[tuple[Width, ...], Circuits] = (12, 12)
    """Hidden units planted for each circuit."""
    heads: Annotated[tuple[Heads, ...], Circuits] = (1, 1)
    """Read-outs of each circuit, each with its own softmax: two where two tasks share it."""
    unit: Unit = "quadratic"
    frequencies: Annotated[int, Field(ge=0)] = 0
    """Waves that each residue is given by; 0 for a one-hot vector."""
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of each task's pairs; with 1 there is nothing left to generalise to."""
    samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 700
    """Random companies of training pairs."""
    shuffled: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Circuits whose labels are permuted."""
    rho: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the loss of the first circuit, in training and in the Hessian."""
    n_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 2_000
    lr: Annotated[float, Field(gt=0)] = 5e-3
    l2: Annotated[float, Field(ge=0)] = 1e-3
    """Factor on the sum of squared weights in the loss; it is no part of the Hessian."""
    log_every: Annotated[int, Field(ge=1)] = 50
    top: Annotated[int, Field(ge=4)] = 60
    """Leading eigenvectors that are grouped by the outputs that they move."""
    rotations: Annotated[int, Field(ge=20)] = 40
    """Random rotations of their span, the null of the groups."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _possible_together(self) -> PlantedSettings:
        faults = [sentence for holds, sentence in self._demands() if not holds]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _demands(self) -> list[tuple[bool, str]]:
        """What must hold of several fields: whether it does, and the sentence if it does not."""
        circuits, most = len(self.moduli), (min(self.moduli) - 1) // 2
        return [
            (
                len(self.widths) == len(self.heads) == circuits,
                f"moduli, widths and heads must be of equally many circuits, got {circuits}, "
                f"{len(self.widths)} and {len(self.heads)}",
            ),
            (
                self.frequencies <= most,
                f"frequencies={self.frequencies}: at most {most}, that of the least modulus",
            ),
            (
                all(task < circuits for task in self.shuffled),
                f"shuffled={list(self.shuffled)}: circuits are 0 to {circuits - 1}",
            ),
            (
                int(self.train_fraction * min(self.moduli) ** 2) >= 1,
                f"train_fraction={self.train_fraction}: leaves no pair to train on",
            ),
        ]

    @property
    def checkpoints(self) -> list[int]:
        """Steps of which weights are kept, ascending."""
        return [*(step for step in STEPS if step < self.n_steps), self.n_steps]

    @property
    def outputs(self) -> list[slice]:
        """Outputs of each head, in order: those of the first circuit first."""
        found, start = [], 0
        for p, heads in zip(self.moduli, self.heads, strict=True):
            for _ in range(heads):
                found.append(slice(start, start + p))
                start += p
        return found

    @property
    def head_circuits(self) -> list[int]:
        """Circuit of each head."""
        return [circuit for circuit, heads in enumerate(self.heads) for _ in range(heads)]


class PlantedConfig(PlantedSettings):
    """One network, and where its spectrum is taken."""

    alpha: Alpha = 0.0
    """Factor on the weights between circuits: 0 where they share nothing, 1 for one trunk."""
    seed: Seed = 0
    """Of the task and the initial weights."""
    followed: bool = False
    """Whether all checkpoints have a spectrum; else the first, the memorised and the last."""

    @property
    def task(self) -> SumsTask:
        """Samples to train and to test on."""
        return sums_task(
            self.moduli,
            samples=self.samples,
            train_fraction=self.train_fraction,
            seed=self.seed,
            shuffled=self.shuffled,
        )

    def encode(self, sums: Sums) -> Tensor:
        """(n, I) float32 inputs of the network."""
        return sums.waves(self.frequencies) if self.frequencies else sums.one_hot()

    def model(self) -> PlantedNetwork:
        """The network at its initial weights."""
        with seeded(self.seed):
            return PlantedNetwork(
                [4 * self.frequencies or 2 * p for p in self.moduli],
                self.widths,
                [p * heads for p, heads in zip(self.moduli, self.heads, strict=True)],
                alpha=self.alpha,
                unit=self.unit,
            )

    @property
    def symmetries(self) -> int:
        """Directions that change nothing, counted in advance: exact zeros of the Hessian.

        A constant on all weights of a one-hot vector into a unit is undone by its bias; a vector
        added to all rows of a softmax, weights and bias, is not seen by it. Where α = 0, weights
        between circuits are dead and not counted.
        """
        circuits = range(len(self.moduli))
        pairs = [
            (of, by) for of in circuits for by in circuits if of == by or self.alpha > 0
        ]  # fmt: skip
        shifts = 0 if self.frequencies else sum(2 * self.widths[of] for of, _ in pairs)
        weights = sum(self.heads[of] * self.widths[by] for of, by in pairs)
        return shifts + weights + sum(self.heads)


class PlantedGrid(PlantedSettings, Grid):
    """The chapter's networks: each α from each seed, some followed through training."""

    alphas: Annotated[tuple[Alpha, ...], Field(min_length=1)] = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    followed: tuple[Alpha, ...] = (1.0,)
    """Those α whose networks are followed through training."""

    def _demands(self) -> list[tuple[bool, str]]:
        unknown = [alpha for alpha in self.followed if alpha not in self.alphas]
        return [
            *super()._demands(),
            (not unknown, f"followed={unknown}: must be among alphas, {list(self.alphas)}"),
            *(
                (len(set(values)) == len(values), f"{name}={list(values)}: must be different")
                for name, values in {"alphas": self.alphas, "seeds": self.seeds}.items()
            ),
        ]

    @property
    def configs(self) -> list[PlantedConfig]:
        """The networks, those that take longest first."""
        common = self.model_dump(exclude={"alphas", "seeds", "followed"})
        return [
            PlantedConfig(**common, alpha=alpha, seed=seed, followed=alpha in self.followed)
            for alpha in sorted(self.alphas, reverse=True)
            for seed in self.seeds
        ]


ONE_TRUNK = {"alphas": (1.0,), "followed": (), "seeds": (0, 1, 2)}
ENDS = {"alphas": (0.0, 1.0), "followed": (), "seeds": (0, 1, 2)}
UNCOUPLED = {"alphas": (0.0,), "followed": (), "seeds": (0, 1, 2)}
GRIDS = {
    "main": PlantedGrid(),
    "relu": PlantedGrid(
        unit="relu", n_steps=4_000, alphas=(0.0, 0.1, 1.0), followed=(), seeds=(0, 1, 2)
    ),
    "scaled": PlantedGrid(rho=10.0, **UNCOUPLED),
    "both shuffled": PlantedGrid(shuffled=(0, 1), alphas=(1.0,), seeds=(0, 1, 2)),
    "one shuffled": PlantedGrid(shuffled=(0,), **ONE_TRUNK),
    "three": PlantedGrid(moduli=(7, 11, 13), widths=(8, 8, 8), heads=(1, 1, 1), **ENDS),
    "unequal": PlantedGrid(moduli=(5, 17), widths=(6, 18), **ENDS),
    "shared": PlantedGrid(moduli=(11, 7, 5), widths=(8, 8, 8), heads=(2, 1, 1), **ENDS),
    "all pairs": PlantedGrid(train_fraction=1.0, **UNCOUPLED),
    "few waves": PlantedGrid(train_fraction=1.0, frequencies=3, **UNCOUPLED),
    "fewer waves": PlantedGrid(train_fraction=1.0, frequencies=2, **UNCOUPLED),
}
"""All networks that the chapter's claims are about: that of the defaults, and its variants."""
