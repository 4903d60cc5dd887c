"""The config of the Fiedler experiment, and the checkpoints that follow from it."""

from __future__ import annotations

from typing import ClassVar

from hdlib.experiments.mnist import MnistConfig, log_spaced

CHOSEN = 4
"""Checkpoints shown in detail, evenly in log(1 + step)."""
EARLY = 50
"""Up to this step every checkpoint has trees of the Hessian's parts."""


class FiedlerConfig(MnistConfig):
    """The MNIST run whose parameters are grouped: the same fields, and so the same key."""

    experiment: ClassVar[str] = "fiedler"

    @property
    def trained(self) -> MnistConfig:
        """The config of the MNIST run."""
        return MnistConfig(**self.model_dump())

    @property
    def key(self) -> str:
        """That of the MNIST run."""
        return self.trained.key

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


SECOND = FiedlerConfig(seed=43, n_epochs=1, sweep_checkpoints=0, draws=0)
"""The first epoch from another seed, published beside the run of the defaults."""
