"""Which heads a routed network sends its inputs to, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

FloatArray = NDArray[np.float64]


class RoutingUse(NamedTuple):
    """How one layer uses its heads, over n inputs with weights w, rows summing to 1.

    The entropy H(w̄) of the mean weights w̄ is at least the mean entropy of the weights, and at most
    ln n_heads; the difference of the two is the mutual information of input and head in nats, what
    the route says about the input. So

    - *collapse*, all inputs to one head: the marginal entropy goes to 0, and the entropy with it;
    - *indecision*, all heads for every input: the entropy goes to ln n_heads, and the marginal
      entropy with it;
    - *specialisation*, each input to one head and every head used: the entropy goes to 0, the
      marginal entropy to ln n_heads.

    A regulariser that lowers the entropy is served by collapse as well as by specialisation: the
    entropy alone does not tell them apart.

    Attributes:
        entropy: mean over the inputs of −Σ w ln w, in nats.
        normalised_entropy: entropy over ln n_heads, in [0, 1]; 0 where there is one head.
        marginal_entropy: entropy of the mean weights, in nats.
        use: (n_heads,) mean weight of each head.
        dominant: (n_heads,) share of the inputs whose largest weight is that of each head; the
            first of equal ones counts.
    """

    entropy: float
    normalised_entropy: float
    marginal_entropy: float
    use: FloatArray
    dominant: FloatArray


def routing_use(weights: Sequence[ArrayLike]) -> list[RoutingUse]:
    """How each layer uses its heads.

    Args:
        weights: (n, n_heads) routing weights for each layer, rows summing to 1.

    Raises:
        ValueError: if a layer has no input, another shape, or rows that are no weights.
    """
    return [_layer(np.asarray(layer, np.float64)) for layer in weights]


def routing_columns(weights: Sequence[ArrayLike]) -> dict[str, float]:
    """The same as columns of a history.

    Arguments and errors are those of `routing_use`.

    Returns:
        Means over the layers as "routing_entropy" and "normalised_routing_entropy", for each layer
        i "routing_entropy_{i}" and "marginal_entropy_{i}", and for each head j of it
        "head_use_{i}_{j}", its mean weight.
    """
    layers = routing_use(weights)
    columns = {
        "routing_entropy": float(np.mean([layer.entropy for layer in layers])),
        "normalised_routing_entropy": float(np.mean([x.normalised_entropy for x in layers])),
    }
    for i, layer in enumerate(layers):
        columns[f"routing_entropy_{i}"] = layer.entropy
        columns[f"marginal_entropy_{i}"] = layer.marginal_entropy
        columns |= {f"head_use_{i}_{j}": float(use) for j, use in enumerate(layer.use)}
    return columns


def _layer(w: FloatArray) -> RoutingUse:
    if w.ndim != 2 or not w.size:
        raise ValueError(f"routing weights of shape {w.shape}: must be (n, n_heads), neither 0")
    if not (w.min() >= 0 and np.abs(w.sum(1) - 1).max() < 1e-4):
        raise ValueError(
            f"routing weights from {w.min():.6g}, with rows summing to {w.sum(1).min():.6g} … "
            f"{w.sum(1).max():.6g}: must be at least 0, and sum to 1"
        )
    n, heads = w.shape
    entropy = float(entr(w).sum(1).mean())
    return RoutingUse(
        entropy=entropy,
        normalised_entropy=entropy / np.log(heads) if heads > 1 else 0.0,
        marginal_entropy=float(entr(w.mean(0)).sum()),
        use=w.mean(0),
        dominant=np.bincount(w.argmax(1), minlength=heads) / n,
    )
