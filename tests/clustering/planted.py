"""Two sums in one small network: what its outputs are for is known."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZES = (7, 5)
"""Classes of a + b mod 7 and of c + d mod 5."""
TASKS = np.repeat([0, 1], SIZES)


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**2


def network(*, seed: int) -> nn.Sequential:
    """604 parameters in double precision, untrained."""
    torch.manual_seed(seed)
    layers = nn.Linear(2 * sum(SIZES), 16), Square(), nn.Linear(16, sum(SIZES))
    return nn.Sequential(*layers).double()


def sums(*, seed: int, count: int = 300) -> tuple[Tensor, Tensor]:
    """One-hot inputs (n, 24), and the classes of both sums (n, 2)."""
    generator = np.random.default_rng(seed)
    terms = [generator.integers(size, size=(2, count)) for size in SIZES]
    hot = [np.eye(s)[t] for s, pair in zip(SIZES, terms, strict=True) for t in pair]
    sums = [pair.sum(0) % s for s, pair in zip(SIZES, terms, strict=True)]
    return torch.tensor(np.concatenate(hot, 1)), torch.tensor(np.stack(sums, 1))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    parts = zip(outputs.split(SIZES, 1), targets.T, strict=True)
    return torch.stack([F.cross_entropy(logits, classes) for logits, classes in parts]).sum()


def train(model: nn.Sequential, data: tuple[Tensor, Tensor], *, steps: int = 1_500) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        size = torch.stack([p.square().sum() for p in model.parameters()]).sum()
        value = loss(model(data[0]), data[1]) + 3e-4 * size
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
