"""AdamW, as chapters use it."""

from __future__ import annotations

import torch
from torch import nn


def adamw(
    model: nn.Module, *, lr: float, weight_decay: float, beta2: float, beta1: float = 0.9
) -> torch.optim.AdamW:
    """AdamW over all parameters of a network, each of which decays alike.

    Args:
        model: network whose parameters are optimised, on the device to train on.
        lr: learning rate.
        weight_decay: λ; an update takes lr · λw off a weight.
        beta2: decay of the mean of squared gradients.
        beta1: decay of the mean of gradients.

    Returns:
        The fused one, which updates all parameters in one pass.
    """
    return torch.optim.AdamW(
        model.parameters(),
        lr=lr,
        betas=(beta1, beta2),
        weight_decay=weight_decay,
        fused=True,
    )
