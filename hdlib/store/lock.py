"""Folders that one process at a time writes into."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hdlib.atomic import TEMPORARY

log = logging.getLogger(__name__)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a folder for writing; a second process waits here until the first has ended.

    The lock goes with its process, however that ends, so that unfinished files which are there now
    are of processes that were killed: they are removed.

    Args:
        folder: need not exist; the lock is a file beside it.

    Raises:
        OSError: if there can be no lock, or no file can be removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("waiting for another process that computes %s", folder)
        lock.acquire()
    try:
        for unfinished in _unfinished(folder):
            unfinished.unlink()
        yield
    finally:
        lock.release()


def abandoned(folder: Path) -> bool:
    """Whether there are unfinished files, and no process that holds the folder."""
    if not _unfinished(folder):
        return False
    try:
        with _lock(folder).acquire(timeout=0):
            return True
    except Timeout:
        return False


def _unfinished(folder: Path) -> list[Path]:
    # Among ten thousand records several times as fast as a pattern.
    return [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.startswith(TEMPORARY)
    ]


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_suffix(".lock"))
