"""Torch's global random numbers, for a while from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

_LOCK = RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global random numbers from a seed; those of the CPU are afterwards as they were.

    They are global, so another thread that asks for its own waits until this one is done.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
