"""All eigenvalues of a network that is small enough, over all training pairs and over 200."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature import HessianOperator, spectrum
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.spectra import hessian_operator
from hdlib.models import ModularTransformer

MOST_PARAMETERS = 12_000
"""A matrix of as many rows takes 1.2 GB, and all of its eigenvalues some minutes."""
FEW_PAIRS = 200
"""Pairs in a Hessian of the original work."""
COLUMNS = 256


def whole_measures(config: GrokkingConfig, model: ModularTransformer) -> dict[str, NDArray]:
    """All eigenvalues of the Hessian at a checkpoint, from one tridiagonalisation each.

    Args:
        config: task, whose seed draws the few pairs.
        model: network at a checkpoint.

    Returns:
        ``all_pairs`` and ``few_pairs`` (P,) float64, ascending: of the mean loss over all training
        pairs, and over `FEW_PAIRS` of them (over all where there are fewer).
    """
    n = len(config.task.train.a)
    few = np.random.default_rng(config.seed).permutation(n)[:FEW_PAIRS]
    operators = {
        "all_pairs": hessian_operator(config, model),
        "few_pairs": hessian_operator(config, model, pairs=few),
    }
    return {name: spectrum(_matrix(of), vectors=0).eigenvalues for name, of in operators.items()}


def _matrix(operator: HessianOperator) -> Tensor:
    """H, (P, P), column by column: here products are several times faster than `hessian`."""
    n = operator.shape[0]
    found = torch.empty(n, n, dtype=operator.dtype, device=operator.device)
    for start in range(0, n, COLUMNS):
        width = min(COLUMNS, n - start)
        unit = torch.zeros(n, width, dtype=operator.dtype, device=operator.device)
        unit[start : start + width].fill_diagonal_(1)
        found[:, start : start + width] = operator @ unit
    return found
