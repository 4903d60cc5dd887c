"""Losses for training in single precision."""

from __future__ import annotations

from typing import Any

import torch
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


def cross_entropy_of_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of (n, C) logits, precise however small, with a softmax in their own type.

    With s = Σ p over the classes that are not the target, a sample's loss is −log(1 − s) and its
    derivative p, but −s by the target's logit: nothing is subtracted from 1 that is near it. Where
    the target has less than half of the probability, the loss is −log p of it. In float32 this is
    as good as `cross_entropy_float64` and several times as fast. It can be differentiated once.

    Args:
        outputs: (n, C) logits f, of any floating dtype; gradients come back in it.
        targets: (n,) int64 classes y.

    Returns:
        A float64 scalar.
    """
    return _CrossEntropy.apply(outputs, targets)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        at = targets[:, None]
        slopes = torch.softmax(outputs, 1)
        right = slopes.gather(1, at)[:, 0].double()
        errors = slopes.scatter_(1, at, 0).sum(1)
        slopes.scatter_(1, at, -errors[:, None])
        ctx.save_for_backward(slopes)
        losses = torch.where(right < 0.5, -right.log(), -torch.log1p(-errors.double()))
        if (lost := right < torch.finfo(outputs.dtype).tiny).any():
            exact = F.cross_entropy(outputs[lost].double(), targets[lost], reduction="none")
            losses[lost] = exact
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        # PyTorch's own guard looks at g alone, which is constant while the slopes are not.
        if torch.is_grad_enabled():
            raise RuntimeError("cross_entropy_of_errors can be differentiated once")
        (slopes,) = ctx.saved_tensors
        return slopes * (g / len(slopes)).to(slopes.dtype), None
