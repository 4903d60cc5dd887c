"""Processes that are killed at a file operation."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
# The optimisers import the second when the first of them is made: seconds, in each process.
PROCESSES.set_forkserver_preload(["tests.store.small", "torch._dynamo"])

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.chmod"}


def run_until(
    operation: int, *, torn: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> int:
    """Run a function in a process that is killed just before a file operation.

    Operations are whatever changes files: opening for writing, flushing a file or a folder,
    renaming, removing, making folders.

    Args:
        operation: number of the operation, from 0 on.
        torn: whether half of what was written last is lost, where a file would be flushed.
        function: called in the process.
        arguments: what it is called with.

    Returns:
        The exit code: -9 where it was killed, 0 where there were fewer operations.
    """
    process = PROCESSES.Process(target=_doomed, args=(operation, torn, function, arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _doomed(
    operation: int, torn: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    numbers = count()

    def due() -> bool:
        return next(numbers) == operation

    def before(event: str, details: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(details[2], int) and details[2] & os.O_ACCMODE
        if (writes or event in CHANGES) and "/dev/" not in str(details[0]) and due():
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(descriptor: int) -> None:
        if due():
            if torn:
                tear(descriptor)
            os.kill(os.getpid(), signal.SIGKILL)

    # What was written outlives the process, if not the machine, also where it is not flushed.
    os.fsync = fsync
    sys.addaudithook(before)
    function(*arguments)


def tear(descriptor: int) -> None:
    """Cut off half of a file's last line; a folder stays."""
    path = Path(f"/proc/self/fd/{descriptor}").resolve()
    if path.is_file():
        content = path.read_bytes()
        start = content.rstrip(b"\n").rfind(b"\n") + 1
        os.truncate(path, (start + len(content)) // 2)
