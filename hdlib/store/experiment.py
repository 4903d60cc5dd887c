"""An experiment: its config, its stages, and its runs."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from hdlib.store.config import Config
from hdlib.store.places import PUBLISHED
from hdlib.store.record import record
from hdlib.store.run import Run
from hdlib.store.stage import Stage

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)


class Grid(Config):
    """Parameters of a chapter that shows many runs."""

    @property
    @abstractmethod
    def configs(self) -> Sequence[Config]:
        """Configs of all runs, the long ones first."""


@dataclass(frozen=True)
class Experiment(Generic[C]):
    """What a chapter computes.

    Attributes:
        config: class of its configs; that of the defaults is the published run.
        stages: what is computed, each after those it needs.
        cost: what the run of the defaults takes from nothing, in words.
        room: config ↦ None, or an error if what it asks for cannot fit into this machine.
        grid: class of the parameters of a chapter with many runs; None where it has one.
    """

    config: type[C]
    stages: Sequence[Stage]
    cost: str
    room: Callable[[C], None] = lambda config: None
    grid: type[Grid] | None = None

    @property
    def name(self) -> str:
        """The name that is typed."""
        return self.config.experiment

    def open(self, config: C, *, root: Path | None = None) -> Run[C]:
        """The run of a config, as far as it is there; nothing is computed."""
        return Run(config, self.stages, None if root is None else [root])

    def run(self, config: C, *, root: Path | None = None) -> Run[C]:
        """The run of a config: found where it is stored, else computed, or what is missing of it.

        Args:
            config: what to compute.
            root: folder to look and compute in instead of the usual ones.

        Raises:
            ValueError: if the device is not there, or a data file is damaged.
            MemoryError: if what is asked for cannot fit.
            ConnectionError: if data are neither found nor downloaded.
            FloatingPointError: if the training loss stops being finite.
            ConvergenceError: if a spectrum cannot be certified.
            ChangedError: if weights that are missing come out different from what is recorded.
        """
        found = self.open(config, root=root)
        if not found.complete or found.mendable:
            self.room(config)
            _ = found.device
            if root is None and config == self.config() and not PUBLISHED.is_dir():
                log.warning(
                    "the published runs are not beside this installation (%s); computing %s from "
                    "nothing takes %s. In a clone of the repository they are read",
                    PUBLISHED,
                    self.name,
                    self.cost,
                )
            found.compute()
        record(found)
        return found
