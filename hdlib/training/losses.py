"""Losses for training in single precision."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_float64(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of (n, C) logits, the softmax taken in float64.

    Log-softmax rounds 1 + Σ exp(−margin), so near 0 a sample's loss moves in steps of 2⁻²³ ≈
    1.2·10⁻⁷ in float32; below half of that the loss and its derivative by the true logit are
    exactly 0. Networks that memorise their data reach this (Nanda et al. 2023). In float64 the
    steps are 2⁻⁵² ≈ 2·10⁻¹⁶.

    Args:
        outputs: (n, C) logits, of any floating dtype; gradients come back in it.
        targets: (n,) int64 classes.

    Returns:
        A float64 scalar.
    """
    return F.cross_entropy(outputs.double(), targets)
