"""Runs by what a person types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hdlib.store.config import ConfigError
from hdlib.store.experiment import Experiment
from hdlib.store.folder import DamagedRunError
from hdlib.store.places import roots
from hdlib.store.record import read_record, records
from hdlib.store.run import Run


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
            found = experiment.open(experiment.config(**fields))
        except (ValueError, ConfigError) as error:
            raise DamagedRunError(f"{path} is no record of a run: {error}") from error
        if found.key != path.stem:
            raise DamagedRunError(f"{path} does not belong to its config, whose key is {found.key}")
        return found

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
        runs = {f"{p.parent.parent.name}/{p.stem}": p for p in reversed(self.records())}
        fitting = [
            run for run in runs if run.startswith(name) or run.split("/")[1].startswith(name)
        ]
        if len(fitting) != 1:
            known = ", ".join(sorted(runs)) or "none"
            raise ValueError(f"{name!r} fits {len(fitting)} runs; there are: {known}")
        return self.open(runs[fitting[0]])
