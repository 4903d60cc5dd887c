"""Multilayer perceptrons, the plainest networks, on pairs of residues in four encodings."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, TypeAlias, get_args

from torch import Tensor, nn

from hdlib.tasks.modular import Pairs

Encoding: TypeAlias = Literal["raw", "standardised", "one_hot", "embedding"]
"""How a network is given a pair of residues."""


class MLP(nn.Sequential):
    """(Linear → ReLU) × depth → Linear, on pairs of residues mod p, with p logits.

    All layers have biases and PyTorch's own initial values (uniform within ±1/√fan-in; embeddings
    are standard normal). The number of parameters is with i inputs, h = width and d = depth

        (i + 1) h + (d − 1)(h² + h) + (h + 1) p,

    and p · `embedding_width` more where there is a table of embeddings.

    Args:
        p: modulus.
        encoding: "raw" integers (i = 2), the same "standardised" (i = 2), "one_hot" pairs
            (i = 2p), or a learned "embedding" (i = 2 · embedding_width), the rows of one table
            for both residues, laid side by side.
        width: hidden units of each layer.
        depth: number of hidden layers.
        embedding_width: columns of the table of embeddings.

    Raises:
        ValueError: if an argument is not positive, or the encoding unknown.
    """

    def __init__(
        self,
        p: int,
        encoding: Encoding,
        *,
        width: int,
        depth: int,
        embedding_width: int = 128,
    ) -> None:
        if encoding not in get_args(Encoding):
            raise ValueError(f"encoding={encoding!r}: allowed are {', '.join(get_args(Encoding))}")
        for name, value in {
            "p": p,
            "width": width,
            "depth": depth,
            "embedding_width": embedding_width,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1")
        self.p, self.encoding = p, encoding
        table = [nn.Embedding(p, embedding_width), nn.Flatten()]
        inputs = {"raw": 2, "standardised": 2, "one_hot": 2 * p, "embedding": 2 * embedding_width}
        widths = [inputs[encoding], *[width] * depth]
        hidden = [
            layer
            for fan_in, fan_out in pairwise(widths)
            for layer in (nn.Linear(fan_in, fan_out), nn.ReLU())
        ]
        read_out = nn.Linear(width, p)
        super().__init__(*(table if encoding == "embedding" else []), *hidden, read_out)

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Activations of each hidden layer after its ReLU, (n, width) each, then the (n, p) logits.

        Args:
            inputs: pairs as `encoded` gives them.
        """
        found = []
        for layer in self:
            inputs = layer(inputs)
            if isinstance(layer, nn.ReLU):
                found.append(inputs)
        return [*found, inputs]


def encoded(pairs: Pairs, encoding: Encoding) -> Tensor:
    """Pairs as an `MLP` of this encoding takes them: float32, or (n, 2) int64 for "embedding"."""
    match encoding:
        case "raw":
            return pairs.raw()
        case "standardised":
            return pairs.scalars()
        case "one_hot":
            return pairs.one_hot()
        case "embedding":
            return pairs.both()
