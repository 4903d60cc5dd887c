"""The command line: ``hdlib run | sweep | show | verify | publish | book``."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import tyro

from hdlib.book import BookError, build, execute_chapters
from hdlib.experiments.asked import How, Which, asked_config, asked_sweep
from hdlib.experiments.grid import changed_fields, compute_missing
from hdlib.experiments.outlook import outlook
from hdlib.experiments.pool import PoolError
from hdlib.experiments.registry import REGISTRY
from hdlib.store import ChangedError, DamagedRunError, Run, roots
from hdlib.store.publish import publish as publish_run
from hdlib.store.verify import Finding, check_folders, check_records, check_run, title

Name = Annotated[str, tyro.conf.Positional]


def run(experiment: Name) -> None:
    """Compute a run, or what is missing of it: `hdlib run mnist config.yaml --n-epochs 3`.

    Fields are those of the file, if one is given, and of flags, which override it; `hdlib run mnist
    -h` lists them.

    Args:
        experiment: name of an experiment.
    """
    _run(experiment, [])


def sweep(name: Name) -> None:
    """Compute the runs of a sweep, or what is missing: `hdlib sweep sweep.yaml --dry-run`.

    `hdlib sweep depth -h` lists options.

    Args:
        name: file, or experiment whose chapter has many runs.
    """
    _sweep(name, [])


def show(name: Name = "") -> None:
    """Show a run (its record, experiment or start of its key), or list all of them."""
    if name:
        _print_run(REGISTRY.select(name))
        return
    for found in REGISTRY.runs():
        _print(f"{title(found)}  {changed_fields(found.config)}")


def verify(name: Name = "", *, step: int | None = None, all_steps: bool = False) -> None:
    """Check what is stored: every file's sha256, and what is recomputed from the weights.

    Args:
        name: run, by its record, its experiment (that of the defaults) or the start of its key; all
            runs where not given.
        step: checkpoint to recompute, of one run; the last that can be where not given.
        all_steps: recompute every checkpoint whose weights are kept.
    """
    if step is not None and all_steps:
        raise ValueError(f"--step {step} and --all-steps: one of them")
    if step is not None and not name:
        raise ValueError(f"--step {step}: of which run? Name it")
    items = step if step is not None else "all" if all_steps else "last"
    chosen = [REGISTRY.select(name)] if name else [*REGISTRY.runs()]
    faults = 0

    def tell(finding: Finding) -> None:
        nonlocal faults
        faults += finding.fault
        _print(finding.sentence)

    if not name:
        for finding in (*check_folders(roots()), *check_records(REGISTRY)):
            tell(finding)
    for found in chosen:
        for finding in check_run(found, items=items):
            tell(finding)
    if faults:
        sys.exit(1)


def publish(name: Name) -> None:
    """Copy complete runs to the published ones: all of a sweep or a chapter, or one with options.

    Args:
        name: file of a sweep, or experiment.
    """
    _publish(name, [])


def book(*, execute: bool = False, preview: bool = False) -> None:
    """Build the book: with Quarto where it is on PATH, else as a preview by pandoc.

    Args:
        execute: first execute every chapter in place, and store its outputs.
        preview: make the preview even where Quarto is on PATH.
    """
    if execute:
        execute_chapters()
    build(preview=preview)


def main() -> None:
    """Entry point of the ``hdlib`` command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        match sys.argv[1:]:
            case ["run", experiment, *options] if not experiment.startswith("-"):
                _run(experiment, options)
            case ["sweep", name, *options] if not name.startswith("-"):
                _sweep(name, options)
            case ["publish", name, *options] if not name.startswith("-"):
                _publish(name, options)
            case _:
                tyro.extras.subcommand_cli_from_dict(
                    {
                        "run": run,
                        "sweep": sweep,
                        "show": show,
                        "verify": verify,
                        "publish": publish,
                        "book": book,
                    },
                    prog="hdlib",
                )
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough; what is left is not written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
    except (
        ValueError,
        OSError,
        ArithmeticError,
        MemoryError,
        DamagedRunError,
        ChangedError,
        BookError,
        PoolError,
    ) as error:
        sys.exit(f"error: {_plain(error)}")


def _run(name: str, options: list[str]) -> None:
    experiment = REGISTRY[name]
    _print_run(experiment.run(asked_config(experiment, options, prog=f"hdlib run {name}")))


def _sweep(name: str, options: list[str]) -> None:
    how, found = asked_sweep(name, options, How, prog=f"hdlib sweep {name}")
    if how.dry_run:
        for line in outlook(found):
            _print(line)
        return
    compute_missing(found.experiment, found.configs, cluster=how.cluster)
    for known, config in found.configs.items():
        _print(f"{title(found.experiment.open(config))}  {known}")


def _publish(name: str, options: list[str]) -> None:
    prog = f"hdlib publish {name}"
    if name in [*REGISTRY] and (options or REGISTRY[name].grid is None):
        experiment = REGISTRY[name]
        configs = [asked_config(experiment, options, prog=prog)]
    else:
        _, found = asked_sweep(name, options, Which, prog=prog)
        experiment, configs = found.experiment, found.configs.values()
    for config in configs:
        for folder in publish_run(experiment.open(config)):
            _print(folder)


def _print_run(found: Run[Any]) -> None:
    _print(title(found))
    for field, value in found.config.model_dump().items():
        _print(f"  {field} = {value!r}")
    for stage in found.stages:
        stored = found.stored(stage)
        where = stored.folders[0].path if stored.folders else stored.home
        files = f"{len(stored.names())} files" + (
            f", {stored.seconds:,.1f} s" * bool(stored.names())
        )
        _print(f"  {stage.name}: {files}, in {where}")
    missing = sum(len(names) for _, names in found.missing())
    _print(f"  {f'{missing} files are missing' if missing else 'complete'}")


def _print(text: object) -> None:
    print(_plain(text))


def _plain(text: object) -> str:
    """Text of which nothing is taken for a command by a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))
