"""The experiments by name, and their runs by what a person types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hdlib.config import Config
from hdlib.experiments import grokking, mnist
from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.fiedler.recipe import run as fiedler_run
from hdlib.experiments.fiedler.recipe import tree_error
from hdlib.runs import DamagedRunError, Run, find_runs
from hdlib.training import stored_checkpoints


class Experiment(NamedTuple):
    """What every experiment offers.

    Attributes:
        config: its config class.
        run: from config to run.
        compared: what is recomputed from the weights at a checkpoint, and the unit of its error.
        steps: run ↦ checkpoints at which that can be, ascending.
        error: (run, step) ↦ largest difference between what is stored and what is recomputed.
        agreement: the largest difference that counts as none.
    """

    config: type[Config]
    run: Callable[..., Run[Any]]
    compared: str
    steps: Callable[[Run[Any]], list[int]]
    error: Callable[[Run[Any], int], float]
    agreement: float


EXPERIMENTS = {
    "mnist": Experiment(
        mnist.MnistConfig,
        mnist.run,
        "eigenvalues over |λ|max",
        stored_checkpoints,
        mnist.spectrum_error,
        1e-9,
    ),
    "fiedler": Experiment(
        FiedlerConfig,
        fiedler_run,
        "merge heights over themselves",
        lambda run: run.config.checkpoints,
        tree_error,
        1e-6,
    ),
    # Both spectra are known to their residuals.
    "grokking": Experiment(
        grokking.GrokkingConfig,
        grokking.run,
        "eigenvalues over |λ|max",
        grokking.spectrum_steps,
        grokking.spectrum_error,
        2e-6,
    ),
}


def open_run(folder: Path) -> Run[Any]:
    """The run in a folder.

    Raises:
        DamagedRunError: if its config is missing, unreadable, or not that of the folder's key.
    """
    try:
        fields = json.loads((folder / "config.json").read_text())
        config = EXPERIMENTS[folder.parent.name].config(**fields)
    except (OSError, ValueError, KeyError) as error:
        raise DamagedRunError(f"{folder} has no readable config.json: {error}") from error
    if config.key != folder.name:
        raise DamagedRunError(f"{folder} does not belong to its config, whose key is {config.key}")
    return Run(config, folder.parent.parent)


def select_run(name: str) -> Run[Any]:
    """The run that ``name`` means.

    A folder; an experiment, for the run of its defaults; or the start of a key, with the experiment
    and a slash before it or without.

    Raises:
        ValueError: if no run or more than one fits.
        DamagedRunError: if the run's config cannot be read.
    """
    if Path(name, "manifest.json").is_file():
        return open_run(Path(name).resolve())
    start = f"{name}/{EXPERIMENTS[name].config().key}" if name in EXPERIMENTS else name
    runs = {f"{folder.parent.name}/{folder.name}": folder for folder in reversed(find_runs())}
    fitting = [run for run in runs if run.startswith(start) or run.split("/")[1].startswith(start)]
    if len(fitting) != 1:
        known = ", ".join(sorted(runs)) or "none"
        raise ValueError(f"{name!r} fits {len(fitting)} runs; there are: {known}")
    return open_run(runs[fitting[0]])
