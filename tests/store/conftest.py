from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch):
    """What is written outlives a process, if not the machine, also where it is not flushed."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def bound() -> Iterator[Callable[[Path], None]]:
    """From its call on permissions bind the test, also where the superuser runs it.

    The superuser, whom they do not bind, becomes another user who owns all below a folder.
    """
    superuser = os.geteuid() == 0

    def bind(folder: Path) -> None:
        if not superuser:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        try:
            os.setresuid(NOBODY, NOBODY, 0)
        except OSError:
            pytest.skip("permissions do not bind the superuser, who cannot be another user here")

    yield bind
    if superuser:
        os.setresuid(0, 0, 0)
