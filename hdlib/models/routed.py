"""Networks on one-hot pairs: plain, and routed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdlib.models.routing import Gate, Heads, Routed, RoutingState, Trace


class OneHotEmbedding(nn.Linear):
    """A linear layer on one-hot vectors: its columns are embeddings, and it is treated as them."""


class GeluMLP(nn.Sequential):
    """Linear(2p, h) → GELU → (Linear(h, h) → GELU) × (L − 1) → Linear(h, p) on one-hot pairs.

    All layers have biases and PyTorch's own initial values.

    Args:
        p: modulus.
        width: h.
        n_layers: L.
    """

    def __init__(self, p: int, *, width: int, n_layers: int) -> None:
        between = [
            part for _ in range(n_layers - 1) for part in (nn.Linear(width, width), nn.GELU())
        ]
        super().__init__(OneHotEmbedding(2 * p, width), nn.GELU(), *between, nn.Linear(width, p))

    def representation(self, inputs: Tensor) -> Tensor:
        """Activations (n, h) before the output layer."""
        for layer in list(self)[:-1]:
            inputs = layer(inputs)
        return inputs


class RoutedNetwork(nn.Module):
    """Layers of parallel heads on one-hot pairs, each weighed by a gate that knows the path so far.

    With x = x₀ = E[one-hot(a), one-hot(b)] + e, no activation, and the state s of `RoutingState`,
    each layer takes

        w = gate(s, x),    x ← LayerNorm(x + Σᵢ wᵢ headᵢ(x)),

    heads being Linear(h, 4h) → GELU → Linear(4h, h); the logits are linear in the last x. With one
    head all weights are 1 and nothing is chosen: the ablation, which has no gates and no state.

    Args:
        p: modulus.
        width: h.
        n_layers: layers with heads.
        n_heads: heads of a layer.
    """

    def __init__(self, p: int, *, width: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.embedding = OneHotEmbedding(2 * p, width)
        self.state = RoutingState(width, n_layers) if n_heads > 1 else None
        self.gates = nn.ModuleList(
            Gate(width, n_heads) for _ in range(n_layers if n_heads > 1 else 0)
        )
        self.heads = nn.ModuleList(Heads(width, 4 * width, n_heads) for _ in range(n_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(n_layers))
        self.read_out = nn.Linear(width, p)

    def forward(self, inputs: Tensor) -> Routed:
        """Logits and weights of one-hot pairs (n, 2p)."""
        hidden, weights = self._path(inputs)
        return Routed(self.read_out(hidden[-1]), weights)

    def representation(self, inputs: Tensor) -> Tensor:
        """Activations (n, h) before the output layer."""
        return self._path(inputs)[0][-1]

    @torch.no_grad()
    def trace(self, inputs: Tensor) -> Trace:
        """The path of one-hot pairs (n, 2p) through the network."""
        return Trace(*self._path(inputs))

    def _path(self, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        hidden, weights = [self.embedding(inputs)], []
        state = self.state.start(hidden[0]) if self.state else hidden[0]
        for layer, (heads, norm) in enumerate(zip(self.heads, self.norms, strict=True)):
            x = hidden[-1]
            w = self.gates[layer](state, x) if self.state else x.new_ones(len(x), 1)
            hidden.append(norm(x + heads(x, w)))
            weights.append(w)
            if self.state:
                state = self.state.after(layer, state, hidden[-1])
        return hidden, weights
