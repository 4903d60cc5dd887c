"""Runs by what a person types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hdlib.display import first_of
from hdlib.store.experiment import Experiment
from hdlib.store.folder import DamagedRunError
from hdlib.store.places import roots
from hdlib.store.record import read_record, records
from hdlib.store.run import Run

MOST_TOLD = 20
"""Runs that an error names."""


class Registry:
    """The experiments by name, and the runs that were made of them.

    Args:
        experiments: all there are.
    """

    def __init__(self, experiments: Iterable[Experiment[Any]]) -> None:
        self._experiments = {experiment.name: experiment for experiment in experiments}

    def __iter__(self) -> Iterator[str]:
        return iter(self._experiments)

    def __getitem__(self, name: str) -> Experiment[Any]:
        """The experiment of a name.

        Raises:
            ValueError: if there is none.
        """
        if name not in self._experiments:
            known = ", ".join(self._experiments)
            raise ValueError(f"{name!r} is no experiment; there are: {known}")
        return self._experiments[name]

    def records(self) -> list[Path]:
        """Files of all runs, published ones first."""
        return list(records(roots()))

    def open(self, path: Path) -> Run[Any]:
        """The run of a record.

        Raises:
            DamagedRunError: if the record cannot be read, or is of no config that can be.
        """
        name, fields = read_record(path)
        try:
            experiment = self[name]
            return experiment.open(experiment.config(**fields))
        except ValueError as error:
            raise DamagedRunError(f"{path} is no record of a run: {error}") from error

    def runs(self) -> Iterator[Run[Any]]:
        """All runs whose records can be read, published ones first."""
        for path in self.records():
            try:
                yield self.open(path)
            except DamagedRunError:
                continue

    def select(self, name: str) -> Run[Any]:
        """The run that ``name`` means.

        A record's file; an experiment, for the run of its defaults; or the start of a key, with the
        experiment and a slash before it or without.

        Raises:
            ValueError: if no run or more than one fits.
            DamagedRunError: if the run's record cannot be read.
        """
        if Path(name).is_file():
            return self.open(Path(name).resolve())
        if name in self._experiments:
            return self[name].open(self[name].config())
        runs = {f"{run.config.experiment}/{run.key}": run for run in self.runs()}
        fitting = [
            key for key in runs if key.startswith(name) or key.split("/")[1].startswith(name)
        ]
        if len(fitting) != 1:
            known = first_of(sorted(fitting or runs), MOST_TOLD) or "none"
            told = "they are" if fitting else "there are"
            raise ValueError(f"{name!r} fits {len(fitting)} runs; {told}: {known}")
        return runs[fitting[0]]
