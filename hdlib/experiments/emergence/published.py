"""The runs that the chapter's claims are about."""

from __future__ import annotations

from functools import cache, cached_property

from hdlib.experiments.emergence.config import ORIGINAL, EmergenceGrid
from hdlib.experiments.emergence.recipe import EXPERIMENT
from hdlib.experiments.emergence.results import EmergenceResults
from hdlib.experiments.emergence.training import FollowedResults
from hdlib.experiments.grid import run_grid


class PublishedEmergence:
    """The published runs, each grid read when it is first asked for."""

    @cached_property
    def main(self) -> EmergenceResults:
        """The grid of the default parameters."""
        grid = EmergenceGrid()
        return EmergenceResults(grid, run_grid(EXPERIMENT, grid.configs))

    @cached_property
    def followed(self) -> FollowedResults:
        """Its followed width."""
        return FollowedResults(self.main)

    @cached_property
    def original(self) -> EmergenceResults:
        """The setting of the original work."""
        return EmergenceResults(ORIGINAL, run_grid(EXPERIMENT, ORIGINAL.configs))


@cache
def published() -> PublishedEmergence:
    """The published runs, read once."""
    return PublishedEmergence()
