"""The runs that the chapter's claims are about."""

from __future__ import annotations

from functools import cache

from hdlib.experiments.grid import run_grid
from hdlib.experiments.planted.config import GRIDS
from hdlib.experiments.planted.recipe import EXPERIMENT
from hdlib.experiments.planted.results import PlantedResults


class PublishedPlanted:
    """The published runs, each grid read when it is first asked for."""

    def __init__(self) -> None:
        self._read: dict[str, PlantedResults] = {}

    def __getitem__(self, name: str) -> PlantedResults:
        """The networks of one of `config.GRIDS`."""
        if name not in self._read:
            grid = GRIDS[name]
            self._read[name] = PlantedResults(grid, run_grid(EXPERIMENT, grid.configs))
        return self._read[name]


@cache
def published() -> PublishedPlanted:
    """The published runs, read once."""
    return PublishedPlanted()
