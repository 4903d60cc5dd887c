"""Where runs are computed side by side: in processes of this machine."""

from __future__ import annotations

import io
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import Any, Protocol, Self

import torch

from hdlib.store import Config

Done = Callable[[Any], None]


class Pool(Protocol):
    """Where runs are computed, several at a time, until the ``with`` block is left."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def room(self) -> int:
        """How many runs to submit at a time, so that no worker waits for the next one."""
        ...

    def submit(self, config: Config, done: Done) -> object:
        """Begin to compute a run, and give a ticket that ``done`` is called with at its end."""
        ...

    def finish(self, config: Config, ticket: Any) -> str | None:
        """Have the files of a run that is at its end in the store, or say why it failed.

        Raises:
            PoolError: if no run can be computed any more.
        """
        ...


class PoolError(RuntimeError):
    """What runs are computed on is gone, or not fit for it."""


class ProcessPool:
    """Processes of this machine, each in one thread, which write into the store themselves.

    Args:
        workers: number of them.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def room(self) -> int:
        return 2 * self._workers

    def submit(self, config: Config, done: Done) -> object:
        try:
            task = self._executor.submit(_compute, config.experiment, config.model_dump())
        except BrokenExecutor as error:
            raise PoolError(_GONE) from error
        task.add_done_callback(done)
        return task

    def finish(self, config: Config, ticket: Any) -> str | None:
        if isinstance(error := ticket.exception(), BrokenExecutor):
            raise PoolError(_GONE) from error
        return told(error) if error else None


def told(error: BaseException) -> str:
    """An error in words."""
    return f"{type(error).__name__}: {error}"


_GONE = "a process died, such as for want of memory; what was written is kept: run it again"


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
