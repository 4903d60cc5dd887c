"""Which parameters weight decay is for."""

from __future__ import annotations

from typing import Any

from torch import nn

from hdlib.models.routed import OneHotEmbedding
from hdlib.models.routing import Gate, RoutingState

NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
EMBEDDINGS = (nn.Embedding, OneHotEmbedding)
GATES = (Gate, RoutingState)


def decay_groups(
    model: nn.Module, weight_decay: float, *, gates: bool = False, embeddings: bool = False
) -> list[dict[str, Any]]:
    """Parameters for an optimiser, those with weight decay and those without.

    What a parameter is for is told by the module that holds it, not by its name: decayed are all
    weights, but for normalisations, biases, embeddings (those of one-hot vectors, too) and what a
    routed network chooses its path with.

    Args:
        model: module whose parameters are optimised.
        weight_decay: decay of the first group.
        gates: whether gates and the state that they read are decayed, too (biases are not).
        embeddings: whether embeddings are.

    Returns:
        Groups with "params" and "weight_decay", in the order of the model's parameters; one that
        would be empty is left out.
    """
    spared = (*NORMS, *(() if embeddings else EMBEDDINGS), *(() if gates else GATES))
    free = {id(p) for m in model.modules() if isinstance(m, spared) for p in m.parameters()}
    free |= {id(p) for m in model.modules() if (p := getattr(m, "bias", None)) is not None}
    decayed = [p for p in model.parameters() if id(p) not in free]
    others = [p for p in model.parameters() if id(p) in free]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
