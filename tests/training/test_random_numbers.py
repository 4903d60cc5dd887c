"""Random numbers from a seed."""

from __future__ import annotations

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
