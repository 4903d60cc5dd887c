"""How a network chooses its path: gates, the state that they read, and the heads they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

GAIN = 0.1
"""Of a gate's last layer: choices begin nearly uniform."""


class Routed(NamedTuple):
    """What a routed network returns.

    Attributes:
        logits: (n, p).
        weights: of each layer, (n, heads), rows with sum 1.
    """

    logits: Tensor
    weights: Sequence[Tensor]


class Trace(NamedTuple):
    """The path of inputs through a routed network, without gradients.

    Attributes:
        hidden: (n, h) after the embedding and after each layer.
        weights: of each layer, (n, heads).
    """

    hidden: Sequence[Tensor]
    weights: Sequence[Tensor]


class Gate(nn.Module):
    """How much of each head: w = softmax(G gelu(W_s s + b_s + W_x x + b_x) + g).

    Args:
        width: entries of the state s and of the input x.
        n_heads: number of weights.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.from_state = nn.Linear(width, width)
        self.from_input = nn.Linear(width, width)
        self.choice = nn.Linear(width, n_heads)
        self.begin()

    def begin(self) -> None:
        """Initial values of the last layer: Xavier's uniform ones times 0.1, biases 0."""
        nn.init.xavier_uniform_(self.choice.weight, gain=GAIN)
        nn.init.zeros_(self.choice.bias)

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        """Weights (n, heads) of a state (n, h) and an input (n, h)."""
        hidden = nn.functional.gelu(self.from_state(state) + self.from_input(x))
        return torch.softmax(self.choice(hidden), -1)


class RoutingState(nn.Module):
    """What the gates know of the path so far: s₀ = S x₀, and s ← U[s, x] between two layers.

    No gate reads what the last layer would make of it, so there is no update after that one.

    Args:
        width: entries of s and x.
        n_layers: number of layers with a gate.
    """

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.start = nn.Linear(width, width)
        self.updates = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(n_layers - 1))

    def after(self, layer: int, state: Tensor, x: Tensor) -> Tensor:
        """The state after a layer; unchanged after the last one."""
        if layer == len(self.updates):
            return state
        return self.updates[layer](torch.cat([state, x], 1))


class Heads(nn.ModuleList):
    """Independent maps Linear(h, f) → GELU → Linear(f, h), of which a weighted sum is taken.

    Args:
        width: h.
        hidden: f.
        n_heads: number of maps.
    """

    def __init__(self, width: int, hidden: int, n_heads: int) -> None:
        super().__init__(feed_forward(width, hidden) for _ in range(n_heads))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Σᵢ wᵢ headᵢ(x) for (n, h) inputs and (n, heads) weights."""
        found = [w[:, None] * head(x) for head, w in zip(self, weights.unbind(1), strict=True)]
        return torch.stack(found).sum(0)


def feed_forward(width: int, hidden: int) -> nn.Sequential:
    """Linear(h, f) → GELU → Linear(f, h); GELU is the exact one, with the error function."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
