"""Many runs, side by side."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from hdlib.experiments.pool import Pool, PoolError, ProcessPool, told
from hdlib.store import Config, DamagedRunError, Experiment, Run
from hdlib.training import TrainingStage

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)
MOST_TOLD = 20
"""Failed runs that an error names; all are in the log."""


class FailedRunsError(ArithmeticError):
    """Runs of a grid that failed; the others are complete."""


def run_grid(experiment: Experiment[C], configs: Sequence[C]) -> list[Run[C]]:
    """The runs of many configs: found where they are stored, else computed on this machine.

    Args:
        experiment: one of the registry.
        configs: what to compute; the long ones should come first.

    Raises:
        FailedRunsError: as `compute_missing` does.
        PoolError: as `compute_missing` does.
    """
    runs = [experiment.open(config) for config in configs]
    missing = [run.config for run in runs if not run.complete]
    compute_missing(experiment, {changed(config): config for config in missing})
    return runs


def compute_missing(
    experiment: Experiment[Any], configs: Mapping[str, Config], *, cluster: str | None = None
) -> None:
    """Compute what is missing of many runs.

    Those that are not complete are computed side by side: in processes of this machine, as many as
    PyTorch has threads, each in one thread; or by the workers of a Dask cluster. Those that share
    a training come one after the other, so that it is trained once. A run that fails does not stop
    the others. What was interrupted goes on where it was, when it is asked for again.

    Args:
        experiment: one of the registry.
        configs: what to compute, by the names that it is told under.
        cluster: address of a Dask scheduler; see `hdlib.experiments.cluster`.

    Raises:
        FailedRunsError: if runs failed; names them and says why.
        PoolError: if a process died, such as for want of memory, or the cluster was lost.
        OSError: if there is no such cluster.
    """
    missing = {name: c for name, c in configs.items() if not experiment.open(c).complete}
    if not missing:
        return
    chains = _chains(experiment, missing)
    if cluster is None:
        on_cpu = all(experiment.open(config).device.type == "cpu" for config in missing.values())
        pool: Pool = ProcessPool(min(len(chains), torch.get_num_threads()) if on_cpu else 1)
    else:
        from hdlib.experiments.cluster import DaskPool

        pool = DaskPool(cluster, experiment)
    with pool:
        failed = _compute_all(pool, chains, missing)
    if failed:
        more = [f"and {len(failed) - MOST_TOLD} more"] * (len(failed) > MOST_TOLD)
        told = "\n".join([*failed[:MOST_TOLD], *more])
        raise FailedRunsError(f"{len(failed)} of {len(missing)} runs failed\n{told}")


def _compute_all(
    pool: Pool, chains: Sequence[deque[str]], configs: Mapping[str, Config]
) -> list[str]:
    """Compute chains of runs side by side, and say which failed, and why.

    A bounded number is submitted at a time, and nothing of a run is held once it is in the store.
    """
    ended: SimpleQueue[Any] = SimpleQueue()
    waiting, running = deque(chains), {}
    failed: list[str] = []
    lost: PoolError | None = None
    with tqdm(total=len(configs), unit="run", disable=None) as bar:

        def end(chain: deque[str], why: str | None) -> None:
            name = chain.popleft()
            if why is not None:
                failed.append(f"{name}: {why}")
                log.warning("%s", failed[-1])
            if chain:
                waiting.appendleft(chain)
            bar.update()

        while running or (waiting and not lost):
            while waiting and not lost and len(running) < pool.room():
                chain = waiting.popleft()
                try:
                    running[pool.submit(configs[chain[0]], ended.put)] = chain
                except (ArithmeticError, DamagedRunError, OSError, ValueError) as error:
                    end(chain, told(error))
            if not running:
                break
            ticket = ended.get()
            chain = running.pop(ticket)
            try:
                end(chain, pool.finish(configs[chain[0]], ticket))
            except PoolError as error:
                # Those that are at work elsewhere may still come to their end.
                lost = lost or error
    if lost:
        raise lost
    return failed


def _chains(experiment: Experiment[Any], configs: Mapping[str, Config]) -> list[deque[str]]:
    """Names of runs in their order; those that share a training are one chain."""
    trainings = [stage for stage in experiment.stages if isinstance(stage, TrainingStage)]
    found: dict[tuple[str, ...], deque[str]] = {}
    for name, config in configs.items():
        keys = tuple(stage.key(config) for stage in trainings)
        found.setdefault(keys, deque()).append(name)
    return list(found.values())


def changed(config: Config) -> str:
    """A config by its experiment and what is changed of the defaults."""
    return f"{config.experiment} ({changed_fields(config)})"


def changed_fields(config: Config) -> str:
    """Fields of a config that are not the defaults, with their values."""
    usual = type(config)().model_dump()
    fields = [f"{k}={v}" for k, v in config.model_dump().items() if v != usual[k]]
    return ", ".join(fields) or "the defaults"
