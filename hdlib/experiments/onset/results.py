"""What came out, of all networks of the chapter's grid."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache, cached_property

from hdlib.experiments.grid import run_grid
from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.experiments.onset.network import FollowedNetwork
from hdlib.experiments.onset.recipe import EXPERIMENT
from hdlib.store import Run


class OnsetResults:
    """Everything the chapter shows, of the runs of its grid with one modulus.

    Attributes:
        grid: parameters of the chapter.
        p: the modulus.
        runs: all complete runs, in the order of the grid's configs.
    """

    def __init__(self, grid: OnsetGrid) -> None:
        self.grid, self.p = grid, grid.moduli[0]
        self.runs: list[Run[OnsetConfig]] = run_grid(EXPERIMENT, grid.configs)
        self._networks = {run.config: FollowedNetwork(run) for run in self.runs}

    def at(self, p: int) -> OnsetResults:
        """The same of another modulus of the grid."""
        other = copy(self)
        other.p = p
        for name in ("followed", "controls"):
            other.__dict__.pop(name, None)
        return other

    @cached_property
    def followed(self) -> list[FollowedNetwork]:
        """Networks with enough pairs."""
        return self._of(self.grid.followed[self.p])

    @cached_property
    def controls(self) -> list[FollowedNetwork]:
        """Networks with too few pairs."""
        return self._of(self.grid.controls[self.p])

    @property
    def generalised(self) -> list[FollowedNetwork]:
        """Those with enough pairs that do generalise."""
        return [network for network in self.followed if network.generalised]

    def _of(self, configs: Sequence[OnsetConfig]) -> list[FollowedNetwork]:
        return [self._networks[config] for config in configs]


PublishedOnset = OnsetResults


@cache
def published() -> PublishedOnset:
    """The results of the chapter's grid as it is published."""
    return OnsetResults(OnsetGrid())
