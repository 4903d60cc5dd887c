"""What Adam divides by, how far it moves, and how that compares with weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def adam_statistics(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Second moments and steps of Adam or AdamW after its last update, from its own state.

    After t updates, with the moments m and v of a weight w (for AMSGrad the largest v so far),

        m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ), u = m̂/(√v̂ + ε),

    the update was −lr·u, and AdamW's decay before it −lr·λw, with β, ε and λ those of the weight's
    parameter group. There are

    - ``adam_sqrt_v_mean``, ``adam_sqrt_v_max``: of √v̂ over all weights;
    - ``adam_ratio_mean``, ``adam_ratio_max``: of |u|, about 1 where gradients are steady and about
      0 where they alternate, or are small beside ε;
    - ``update_decay_ratio``: ‖u‖ / ‖λw‖ over the groups that AdamW decays, w after the update: the
      loss moves them more than decay does where it is above 1;
    - ``decayed_weight_norm``: ‖w‖ over the groups with λ > 0.

    What is not defined is left out: before the first update, and for other optimisers, all but
    ``decayed_weight_norm``; without decay the last two; for Adam, where λw is a part of the
    gradient and so of m, ``update_decay_ratio``.

    Args:
        optimizer: any optimiser, as it stands.

    Returns:
        Finite numbers by name.
    """
    roots, updates, decaying, decays, decayed = [], [], [], [], []
    adam_w = isinstance(optimizer, torch.optim.AdamW)
    adam = adam_w or isinstance(optimizer, torch.optim.Adam)
    for group in optimizer.param_groups:
        rate = group.get("weight_decay", 0)
        for weight in group["params"]:
            if rate:
                decayed.append(weight)
            state = optimizer.state.get(weight)
            if not (adam and state):
                continue
            root, update = _root_and_update(state, group)
            roots.append(root)
            updates.append(update)
            if rate and group.get("decoupled_weight_decay", adam_w):
                decaying.append(update)
                decays.append(rate * weight.double())
    found = _mean_and_max("adam_sqrt_v", roots) | _mean_and_max("adam_ratio", updates)
    if decay := _norm(decays):
        found["update_decay_ratio"] = _norm(decaying) / decay
    return found | ({"decayed_weight_norm": _norm(decayed)} if decayed else {})


def _root_and_update(state: Mapping[str, Any], group: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """√v̂ and m̂/(√v̂ + ε) of a parameter, float64."""
    steps = float(state["step"])
    kept1, kept2 = (1 - float(beta) ** steps for beta in group["betas"])
    v = state.get("max_exp_avg_sq", state["exp_avg_sq"])
    root = (v.double() / kept2).sqrt()
    return root, state["exp_avg"].double() / kept1 / (root + group["eps"])


def _mean_and_max(name: str, tensors: Sequence[Tensor]) -> dict[str, float]:
    """Of absolute values, over all entries."""
    if not tensors:
        return {}
    entries = torch.cat([tensor.flatten().abs() for tensor in tensors])
    return {f"{name}_mean": entries.mean().item(), f"{name}_max": entries.max().item()}


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(tensor.double().square().sum().item() for tensor in tensors))
