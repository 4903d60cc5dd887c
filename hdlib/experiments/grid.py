"""Many runs, side by side."""

from __future__ import annotations

import io
import logging
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from hdlib.store import Config, Experiment, Run

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)


class FailedRunsError(ArithmeticError):
    """Runs of a grid that failed; the others are complete."""


def run_grid(experiment: Experiment[C], configs: Sequence[C]) -> list[Run[C]]:
    """The runs of many configs: found where they are stored, else computed.

    Those that are not complete are computed in processes, as many as PyTorch has threads, each in
    one thread; the long ones should come first. A run that fails does not stop the others. A grid
    that was interrupted goes on where it was, when it is asked for again.

    Args:
        experiment: one of the registry.
        configs: what to compute.

    Raises:
        FailedRunsError: if runs failed; names each and says why.
        BrokenExecutor: if a process died, such as for want of memory.
    """
    runs = [experiment.open(config) for config in configs]
    missing = [run.config for run in runs if not run.complete]
    on_cpu = all(run.device.type == "cpu" for run in runs)
    workers = min(len(missing), torch.get_num_threads()) if on_cpu else 1
    if missing:
        _compute_all(missing, workers)
    return runs


def _compute_all(configs: Sequence[Config], workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    failed = []
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        tasks = {
            pool.submit(_compute, config.experiment, config.model_dump()): config
            for config in configs
        }
        try:
            for task in tqdm(as_completed(tasks), total=len(tasks), unit="run", disable=None):
                if isinstance(error := task.exception(), BrokenExecutor):
                    raise error
                if error:
                    failed.append(f"{_changed(tasks[task])}: {type(error).__name__}: {error}")
                    log.warning("%s", failed[-1])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise FailedRunsError(f"{len(failed)} of {len(configs)} runs failed\n" + "\n".join(failed))


class _NoTerminal(io.TextIOWrapper):
    """Bars are drawn on terminals; those of runs side by side would write over each other."""

    def isatty(self) -> bool:
        return False


def _begin() -> None:
    torch.set_num_threads(1)
    sys.stderr = _NoTerminal(sys.stderr.buffer, line_buffering=True)


def _compute(experiment: str, fields: dict[str, Any]) -> None:
    # The registry has the experiments, which have their grids.
    from hdlib.experiments.registry import REGISTRY

    found = REGISTRY[experiment]
    found.run(found.config(**fields))


def _changed(config: Config) -> str:
    """A config by its fields that are not the defaults."""
    usual = type(config)().model_dump()
    changed = [f"{k}={v}" for k, v in config.model_dump().items() if v != usual[k]]
    return f"{config.experiment} ({', '.join(changed) or 'the defaults'})"
