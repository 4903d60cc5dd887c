"""The experiments by name, and their runs by what a person types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hdlib.config import Config
from hdlib.experiments import grokking, mnist
from hdlib.runs import DamagedRunError, Run, find_runs
from hdlib.training import stored_checkpoints


class Experiment(NamedTuple):
    """What every experiment offers.

    Attributes:
        config: its config class.
        run: from config to run.
        spectrum_steps: run ↦ checkpoints with both weights and a spectrum, ascending.
        spectrum_error: (run, step) ↦ largest |Δλ| / max|λ| between the stored spectrum at a
            checkpoint and the one recomputed from its weights.
        agreement: the largest such difference that counts as none.
    """

    config: type[Config]
    run: Callable[..., Run[Any]]
    spectrum_steps: Callable[[Run[Any]], list[int]]
    spectrum_error: Callable[[Run[Any], int], float]
    agreement: float


EXPERIMENTS = {
    "mnist": Experiment(
        mnist.MnistConfig, mnist.run, stored_checkpoints, mnist.spectrum_error, 1e-9
    ),
    # Both spectra are known to their residuals.
    "grokking": Experiment(
        grokking.GrokkingConfig,
        grokking.run,
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
    """The run that ``name`` means: a folder, an experiment with its defaults, or a key's start.

    Raises:
        ValueError: if no run or more than one fits.
        DamagedRunError: if the run's config cannot be read.
    """
    if Path(name, "manifest.json").is_file():
        return open_run(Path(name).resolve())
    start = EXPERIMENTS[name].config().key if name in EXPERIMENTS else name
    fitting = [folder for folder in find_runs() if folder.name.startswith(start)]
    if len(fitting) != 1:
        known = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in find_runs())
        raise ValueError(f"{name!r} fits {len(fitting)} runs; there are: {known or 'none'}")
    return open_run(fitting[0])
