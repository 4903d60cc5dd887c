"""Sweeps: many runs by name, from a file or from the grid of a chapter."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from hdlib.display import first_of
from hdlib.experiments.registry import REGISTRY
from hdlib.store import Config, ConfigError, Experiment, Grid, read_fields

log = logging.getLogger(__name__)

KEYS = ("experiment", "base", "grid", "runs")
SHORT = {"weight_decay": "wd", "train_fraction": "train"}
"""How fields are called in names of runs."""
MOST_TOLD = 50
"""Names of runs in an error."""


@dataclass(frozen=True)
class Sweep:
    """Runs of one experiment, by name.

    Attributes:
        experiment: one of the registry.
        configs: configs by name, each once.
        same: other names of these runs.
    """

    experiment: Experiment[Any]
    configs: Mapping[str, Config]
    same: Mapping[str, str]

    @classmethod
    def of(cls, experiment: Experiment[Any], configs: Mapping[str, Config]) -> Sweep:
        """The sweep of configs by name; two names of one config are told, and are one run."""
        first: dict[Config, str] = {}
        same = {}
        for name, config in configs.items():
            if (known := first.setdefault(config, name)) != name:
                same[name] = known
                log.warning("%s is the same run as %s", name, known)
        return cls(experiment, {name: config for config, name in first.items()}, same)

    @classmethod
    def of_grid(cls, experiment: Experiment[Any], grid: Grid) -> Sweep:
        """The sweep of a chapter's grid, named by the fields in which its runs differ."""
        rows = [config.model_dump() for config in grid.configs]
        varying = [name for name in rows[0] if any(row[name] != rows[0][name] for row in rows)]
        names = [run_name({name: row[name] for name in varying}) for row in rows]
        return cls.of(experiment, dict(zip(names, grid.configs, strict=True)))

    def only(self, names: Sequence[str]) -> Sweep:
        """Those runs alone, given by name or by position from 1 on.

        Raises:
            ValueError: if there is no such run.
        """
        known = list(self.configs)
        chosen = {}
        for name in names:
            found = self.same.get(name, name)
            if found not in self.configs and name.isdecimal() and 0 < int(name) <= len(known):
                found = known[int(name) - 1]
            if found not in self.configs:
                raise ValueError(
                    f"--only {name}: no such run; there are 1 to {len(known)}: "
                    f"{first_of(known, MOST_TOLD)}"
                )
            chosen[found] = self.configs[found]
        return Sweep(self.experiment, chosen, {})


@dataclass(frozen=True)
class SweepFile:
    """A file that names the runs of a sweep.

    Its keys are the ``experiment``; ``base``, fields that all runs have; and ``runs``, a list of
    fields which each have a ``name`` beside them, or ``grid``, a list of values for each of some
    fields, of which every combination is a run, or both: every combination for each of the runs.

    Attributes:
        path: where it is.
        experiment: one of the registry.
        base: fields of all runs.
        runs: fields of each, by name; one without a name and fields where there is only a grid.
        grid: values by field.
    """

    path: Path
    experiment: Experiment[Any]
    base: Mapping[str, Any]
    runs: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, Sequence[Any]]

    @classmethod
    def read(cls, path: Path) -> SweepFile:
        """The file at a path; its fields are looked at by `sweep`.

        Raises:
            ConfigError: if it is none; names the file, the key, the value and what is allowed.
            OSError: if it cannot be read.
        """
        found = read_fields(path)
        try:
            if unknown := [key for key in found if key not in KEYS]:
                raise ConfigError(f"{unknown[0]}: unknown; a sweep has {', '.join(KEYS)}")
            if "runs" not in found and "grid" not in found:
                raise ConfigError("grid or runs: at least one of them is needed")
            experiment = REGISTRY[found.get("experiment", "")]
            base, grid = _mapping("base", found), _grid(found)
            runs = dict(_runs(found["runs"])) if "runs" in found else {"": {}}
            for name, fields in runs.items():
                if both := [field for field in grid if field in fields]:
                    raise ConfigError(f"{both[0]}: given by the grid and by the run {name!r}")
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None
        return cls(path, experiment, base, runs, grid)

    def sweep(self, changes: Mapping[str, Any]) -> Sweep:
        """The sweep, with some fields changed in all of its runs.

        Raises:
            ConfigError: if a config cannot be, or the grid varies a field that is to be changed.
        """
        for field in changes:
            if field in self.grid:
                raise ConfigError(
                    f"{field}={changes[field]!r}: the grid of {self.path} varies it; choose among "
                    "its runs by --only"
                )
        configs = {}
        for name, fields in self._entries():
            try:
                configs[name] = self.experiment.config(**{**self.base, **fields, **changes})
            except ConfigError as error:
                raise ConfigError(f"{self.path}, {name}: {error}") from None
        return Sweep.of(self.experiment, configs)

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        varying = {field for field, values in self.grid.items() if len(values) > 1}
        for name, fields in self.runs.items():
            for values in product(*self.grid.values()):
                point = dict(zip(self.grid, values, strict=True))
                varied = {field: point[field] for field in point if field in varying}
                words = [name, run_name(varied or ({} if name else point))]
                yield "_".join(filter(None, words)), {**fields, **point}


def run_name(fields: Mapping[str, Any]) -> str:
    """A name made of fields and their values, as in "p17_lr3e-4_wd0.5"."""
    parts = []
    for field, value in fields.items():
        words = _words(value)
        between = "" if words[0].isdecimal() else "-"
        parts.append(f"{SHORT.get(field, field)}{between}{words}")
    return "_".join(parts)


def _words(value: Any) -> str:
    """A value in a name; numbers as short as can be."""
    if isinstance(value, float):
        number = Decimal(repr(value)).normalize()
        return min(f"{number:f}", f"{number:e}".replace("e+", "e"), key=len)
    if isinstance(value, list | tuple):
        return "-".join(map(_words, value)) or "none"
    return "none" if value is None else str(value).lower() or "none"


def _mapping(key: str, found: Mapping[str, Any]) -> dict[str, Any]:
    value = found.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{key}={value!r}: fields and their values are needed")
    return value


def _grid(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    grid = _mapping("grid", found)
    for field, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"grid: {field}={values!r}: a list of values is needed")
        if twice := [value for i, value in enumerate(values) if value in values[:i]]:
            raise ConfigError(f"grid: {field}={twice[0]!r}: given twice")
    return grid


def _runs(entries: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"runs={entries!r}: a list of runs is needed, each with a name")
    known = set()
    for number, entry in enumerate(entries, 1):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise ConfigError(f"runs: number {number} is {entry!r}: fields and a name are needed")
        if name in known:
            raise ConfigError(f"runs: name={name!r}: given twice")
        known.add(name)
        yield name, {field: value for field, value in entry.items() if field != "name"}
