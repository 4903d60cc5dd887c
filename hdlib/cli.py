"""The command line: ``hdlib run | show | verify | book``."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Literal

import tyro

from hdlib.book import BookError, build, execute_chapters
from hdlib.config import Config
from hdlib.experiments.registry import EXPERIMENTS, open_run, select_run
from hdlib.runs import DamagedRunError, Run, find_runs

Name = Annotated[str, tyro.conf.Positional]


def run(
    experiment: Annotated[Literal["fiedler", "grokking", "mnist"], tyro.conf.Positional],
) -> None:
    """Compute an experiment's run, or what is missing of it; `hdlib run mnist -h` lists options."""
    _run(EXPERIMENTS[experiment].config())


def show(name: Name = "") -> None:
    """Show a run (its folder, experiment or start of its key), or list all of them."""
    if not name:
        for folder in find_runs():
            print(folder)
        return
    _print_run(select_run(name))


def verify(name: Name = "", *, step: int | None = None) -> None:
    """Check a run, or all: every file's sha256, and what is recomputed from a checkpoint's weights.

    Args:
        name: a run's folder, an experiment for the run of its defaults, or the start of a key; all
            runs where not given.
        step: the checkpoint to recompute; the last where not given.
    """
    runs = [select_run(name)] if name else [open_run(folder) for folder in find_runs()]
    faults = 0
    for found in runs:
        damaged = found.damaged()
        faults += len(damaged)
        for file in damaged:
            print(f"{found.path / file}: missing or altered")
        if not found.complete:
            print(f"{found.path}: not complete; `hdlib run` computes what is missing")
            faults += not damaged
            continue
        experiment = EXPERIMENTS[found.config.experiment]
        recorded = f"{found.path}: {len(found.files)} files as recorded"
        steps = experiment.steps(found)
        if not steps:
            print(f"{recorded}; nothing to recompute")
            continue
        at = steps[-1] if step is None else step
        error = experiment.error(found, at)
        agrees = error <= experiment.agreement
        faults += not agrees
        print(
            f"{recorded}; {experiment.compared} at step {at}, recomputed from the weights, "
            f"{'agree' if agrees else 'DISAGREE'} to {error:.1e}"
        )
    if faults:
        sys.exit(1)


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
            case ["run", experiment, *options] if experiment in EXPERIMENTS:
                config = EXPERIMENTS[experiment].config
                _run(tyro.cli(config, args=options, prog=f"hdlib run {experiment}"))
            case _:
                tyro.extras.subcommand_cli_from_dict(
                    {"run": run, "show": show, "verify": verify, "book": book}, prog="hdlib"
                )
    except (ValueError, OSError, ArithmeticError, DamagedRunError, BookError) as error:
        sys.exit(f"error: {error}")


def _run(config: Config) -> None:
    _print_run(EXPERIMENTS[config.experiment].run(config))


def _print_run(found: Run[Any]) -> None:
    print(found.path)
    for field, value in found.config.model_dump().items():
        print(f"  {field} = {value!r}")
    environment = found.manifest["environment"]
    print(f"  on {environment['device']}, {environment['threads']} threads")
    for stage, seconds in found.manifest.get("seconds", {}).items():
        print(f"  {stage}: {seconds:,.1f} s")
    print(f"  {len(found.files)} files, {'complete' if found.complete else 'not complete'}")
