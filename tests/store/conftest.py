from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch):
    """What is written outlives a process, if not the machine, also where it is not flushed."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
