"""Torch's global random numbers, for a while from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global random numbers from a seed; those of the CPU are afterwards as they were.

    They are global: of two threads that draw at once neither gets the numbers of its seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
