"""Means over samples, with their errors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mean(NamedTuple):
    """A mean over samples.

    Attributes:
        value: mean over the samples.
        standard_error: standard error of the mean as that of a population which the samples are
            drawn from, from their spread; NaN for a single sample.
    """

    value: float
    standard_error: float


def mean_over(samples: Tensor, weights: Tensor | None = None) -> Mean:
    """The weighted mean μ = Σ wₙxₙ / Σ wₙ of numbers xₙ, and its standard error.

    The error is (N/(N − 1) Σ wₙ²(xₙ − μ)²)^½ / Σ wₙ, with N the number of positive weights: without
    weights the sample standard deviation over √N.

    Args:
        samples: (n,), n ≥ 1.
        weights: (n,), none negative, not all zero; by default all equal.
    """
    x = samples.detach().double().cpu()
    w = torch.ones_like(x) if weights is None else weights.detach().double().cpu()
    count = int((w > 0).sum())
    value = (w * x).sum() / w.sum()
    if count == 1:
        return Mean(value.item(), math.nan)
    spread = (w * (x - value)).norm() * math.sqrt(count / (count - 1))
    return Mean(value.item(), (spread / w.sum()).item())
