"""Examples that a network no longer learns from, since rounding makes their loss zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def collapsed_share(
    logits: Tensor, targets: Tensor, *, dtype: torch.dtype = torch.float32
) -> float:
    """Share of the examples whose softmax has collapsed (Prieto et al. 2025).

    An example of class y has collapsed if rounding makes Σₖ exp(zₖ) equal to exp(z_y): y is the
    largest logit, and Σₖ exp(zₖ − z_y) rounds to 1. The loss log Σₖ exp(zₖ − z_y) is then exactly
    0, and so is its derivative p_y − 1 by the logit of y; those by the others, their probabilities,
    are all that is left. A logit that is less by m is lost beside that of y if exp(−m) ≤ ε/2, with
    1 + ε the number after 1: m ≥ 24 ln 2 ≈ 16.6 in single precision, 53 ln 2 ≈ 36.7 in double.

    Args:
        logits: (n, C), of any floating dtype.
        targets: (n,) int64 classes.
        dtype: precision that the softmax is taken in: that of the training's loss.

    Raises:
        ValueError: if there is no example, or the shapes are others.
    """
    if logits.ndim != 2 or not len(logits) or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)}: must be (n, C) and "
            "(n,), n ≥ 1"
        )
    # PyTorch's own sum: where several terms are near ε/2, their order decides, as it does there.
    losses = F.cross_entropy(logits.detach().to(dtype), targets, reduction="none")
    return (losses == 0).double().mean().item()
