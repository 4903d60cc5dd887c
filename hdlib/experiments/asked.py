"""What a command line asks for: a config, or a sweep of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any, TypedDict, TypeVar, get_type_hints

import tyro

from hdlib.experiments.registry import REGISTRY
from hdlib.experiments.shipped import find_file, shipped
from hdlib.experiments.sweep import Sweep, SweepFile
from hdlib.store import Config, ConfigError, Experiment, read_fields


@dataclass(frozen=True)
class Which:
    """Which runs of a sweep."""

    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Name of a run, or its position from 1 on, to take it alone; given again, another one too."""


@dataclass(frozen=True)
class How(Which):
    """Which runs of a sweep are computed, and where."""

    dry_run: bool = False
    """Print all runs, how far they are and about how long the rest takes; compute nothing."""
    cluster: str | None = None
    """Address of a Dask scheduler, as in tcp://scheduler:8786; this machine where not given."""


W = TypeVar("W", bound=Which)


def asked_config(experiment: Experiment[Any], options: Sequence[str], *, prog: str) -> Config:
    """The config of a file, if one comes first, and of flags, which override it.

    Args:
        experiment: one of the registry.
        options: words of the command line after the experiment.
        prog: words before them.

    Raises:
        ConfigError: if it cannot be; names the file, the key, the value and what is allowed.
        ValueError: if there is no such file.
        OSError: if the file cannot be read.
    """
    default = experiment.config()
    if options and not options[0].startswith("-"):
        path = find_file(options[0], "configs")
        fields = read_fields(path)
        try:
            default = experiment.config(**fields)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        options = options[1:]
    return tyro.cli(experiment.config, args=options, default=default, prog=prog)


def asked_sweep(name: str, options: Sequence[str], which: type[W], *, prog: str) -> tuple[W, Sweep]:
    """The sweep of a file, with flags that change fields in all of its runs; or that of a chapter.

    Args:
        name: path of a file, name of one that is shipped, or experiment with a grid.
        options: words of the command line after the name.
        which: options beside the fields.
        prog: words before the options.

    Raises:
        ConfigError: if a config cannot be; names the file, the key, the value and what is allowed.
        ValueError: if there is no such sweep, or no such run in it.
        OSError: if the file cannot be read.
    """
    if name in [*REGISTRY]:
        experiment = REGISTRY[name]
        if experiment.grid is None:
            known = ", ".join([e for e in REGISTRY if REGISTRY[e].grid] + [*shipped("sweeps")])
            raise ValueError(f"{name} has one run, see `hdlib run {name}`; sweeps have: {known}")
        how, grid = _parsed(which, experiment.grid, options, prog)
        sweep = Sweep.of_grid(experiment, grid)
    else:
        file = SweepFile.read(find_file(name, "sweeps"))
        how, changes = _parsed(which, _changes(file.experiment.config), options, prog)
        sweep = file.sweep(changes)
    return how, sweep.only(how.only) if how.only else sweep


def _parsed(which: type[W], fields: Any, options: Sequence[str], prog: str) -> tuple[W, Any]:
    groups = {"runs": which, "fields": fields}
    both = make_dataclass(
        "Options", [(name, tyro.conf.OmitArgPrefixes[group]) for name, group in groups.items()]
    )
    found: Any = tyro.cli(both, args=options, prog=prog)
    return found.runs, found.fields


def _changes(config: type[Config]) -> Any:
    """The type of some of a config's fields."""
    hints = get_type_hints(config, include_extras=True)
    fields = {name: hints[name] for name in config.model_fields}
    return TypedDict("Fields", fields, total=False)  # pyright: ignore
