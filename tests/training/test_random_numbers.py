"""Random numbers from a seed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import torch

from hdlib.training import seeded


def test_they_are_of_the_seed_and_afterwards_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(3), torch.rand(3)
    torch.manual_seed(7)
    before = torch.rand(3)
    with seeded(5):
        found = torch.rand(3), torch.rand(3)
    after = torch.rand(3)
    assert all(map(torch.equal, found, expected))
    torch.manual_seed(7)
    assert torch.equal(before, torch.rand(3))
    assert torch.equal(after, torch.rand(3))


def test_threads_that_draw_at_once_get_those_of_their_seeds():
    def drawn(seed: int) -> list[float]:
        with seeded(seed):
            found = []
            for _ in range(5):
                found.append(float(torch.rand(1)))
                time.sleep(0.002)
            with seeded(9):  # as what is logged within a training does
                torch.rand(1)
            return [*found, float(torch.rand(1))]

    alone = [drawn(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, range(4))) == alone
