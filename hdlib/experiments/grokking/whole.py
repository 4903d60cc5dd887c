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


def zeros_by_symmetry(width: int, n_heads: int) -> int:
    """How many eigenvalues are exactly zero at any weights of `ModularTransformer` with scores.

    Hv is the derivative of the gradient along v, so that v is null where neither the function nor
    any of its slopes changes. With width d and H heads, of a network without an MLP:

    - 3 d shifts: of all rows of the unembedding, which softmax takes away; of the embedding of "="
      against its position; of those of the numbers against the two other positions.
    - Queries are read as x₂Q alone. A change Δ of Q leaves them if x₂Δ = 0, and the slope by x₂ if
      Δ takes away the d slopes of the queries, too; one of these conditions is met by the others:
      d² − 2 d + 1 = (d − 1)² directions.
    - Keys are read as xKₕqₕ, and the slope by qₕ is mₕKₕ, with one vector mₕ for each head. So
      Δₕqₕ = 0 and mₕΔₕ = 0, where one condition for each head is met by the others:
      d² − d H − d + H = (d − 1)(d − H) directions.

    A unit that no pair switches on adds to them.
    """
    d, heads = width, n_heads
    return 3 * d + (d - 1) ** 2 + (d - 1) * (d - heads)


def whole_measures(config: GrokkingConfig, model: ModularTransformer) -> dict[str, NDArray]:
    """All eigenvalues of the Hessian at a checkpoint, from one tridiagonalisation each.

    Args:
        config: task, whose seed draws the few pairs.
        model: network at a checkpoint.

    Returns:
        ``all_pairs`` and ``few_pairs`` (P,) float64, ascending: of the mean loss over all training
        pairs, and over `FEW_PAIRS` of them (over all where there are fewer).
    """
    operators = {
        "all_pairs": hessian_operator(config, model),
        "few_pairs": hessian_operator(config, model, pairs=few_pairs(config)),
    }
    return {name: spectrum(matrix_of(of), vectors=0).eigenvalues for name, of in operators.items()}


def few_pairs(config: GrokkingConfig, *number: int) -> NDArray[np.int64]:
    """Positions of `FEW_PAIRS` training pairs: the draw of the config's seed, or another number."""
    generator = np.random.default_rng((config.seed, *number))
    return generator.permutation(len(config.task.train.a))[:FEW_PAIRS]


def matrix_of(operator: HessianOperator) -> Tensor:
    """H, (P, P), column by column: here products are several times faster than `hessian`."""
    n = operator.shape[0]
    found = torch.empty(n, n, dtype=operator.dtype, device=operator.device)
    for start in range(0, n, COLUMNS):
        width = min(COLUMNS, n - start)
        unit = torch.zeros(n, width, dtype=operator.dtype, device=operator.device)
        unit[start : start + width].fill_diagonal_(1)
        found[:, start : start + width] = operator @ unit
    return found
