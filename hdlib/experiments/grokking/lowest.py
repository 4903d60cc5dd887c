"""The lowest eigenvalue in closed form, its copies, and its twins at the other sign."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.spectra import hessian_operator
from hdlib.measures.bilinear import ScoreCurvature, score_curvature
from hdlib.models import ModularTransformer

Array = NDArray[np.float64]


def attention_curvature(config: GrokkingConfig, model: ModularTransformer) -> ScoreCurvature:
    """What the scores of attention give to the Hessian over all training pairs.

    A row is a token's embedding or a position's, (p + 1) + 3 of them: each row of the residual
    stream is the sum of one of either kind, and so its slope counts for both.

    Args:
        config: task.
        model: network at a checkpoint; it comes back in double precision.
    """
    slopes = _score_slopes(config, model.double())
    queries = model.queries().detach().cpu().numpy()
    return score_curvature(slopes.cpu().numpy(), queries)


def lowest_measures(config: GrokkingConfig, model: ModularTransformer) -> dict[str, NDArray]:
    """The closed form of the lowest eigenvalue, and the Hessian in its directions.

    Args:
        config: task.
        model: network at a checkpoint; it comes back in double precision.

    Returns:
        ``sigma`` (heads,), descending; ``minus`` and ``plus`` (width,), ascending: Ritz values of
        the Hessian in the span of the directions that it has at −σ₁ and at +σ₁, one for each inner
        coordinate; ``minus_residuals`` and ``plus_residuals`` (width,), ‖Hv − ρv‖ of each, within
        which an eigenvalue lies. Products are in single precision.
    """
    found = attention_curvature(config, model)
    operator = hessian_operator(config, model, torch.float32)
    measured = {"sigma": found.sigma}
    for name, sign in (("minus", -1), ("plus", 1)):
        directions = _directions(model, found, sign)
        block = torch.from_numpy(directions).to(operator.device, operator.dtype)
        products = (operator @ block).double().cpu().numpy()
        values, turn = np.linalg.eigh(directions.T @ products)
        apart = products @ turn - directions @ turn * values
        measured[name] = values
        measured[f"{name}_residuals"] = np.linalg.norm(apart, axis=0)
    return measured


def _score_slopes(config: GrokkingConfig, model: ModularTransformer) -> Tensor:
    """Derivative of the mean loss by the score of each row in each head, (p + 4, heads)."""
    train = config.task.train
    tokens, targets = (part.to(model.embedding.device) for part in (train.tokens(), train.targets))
    tables = type(model.tables())(*(table.detach() for table in model.tables()))
    scores = [
        table.clone().requires_grad_()
        for table in (tables.scores_a, tables.scores_b, tables.score_last)
    ]
    a, b = tokens[:, 0], tokens[:, 1]
    heads = (model.n_heads, -1)
    weights = torch.softmax(
        torch.stack([scores[0][a], scores[1][b], scores[2].expand(len(a), -1)]), 0
    )
    z = weights[0, :, :, None] * tables.values_a[a].unflatten(1, heads)
    z = z + weights[1, :, :, None] * tables.values_b[b].unflatten(1, heads)
    residual = tables.base + (tables.value_last + z.flatten(1)) @ tables.after
    logits = residual if model.linear else model.read_out(residual)
    first, second, last = torch.autograd.grad(F.cross_entropy(logits, targets), scores)
    positions = [first.sum(0), second.sum(0), last]
    return torch.cat([first + second, last[None], torch.stack(positions)])


def _directions(model: ModularTransformer, found: ScoreCurvature, sign: int) -> Array:
    """Orthonormal directions (P, width) at ±σ₁, one for each inner coordinate."""
    split, width = model.embedding.shape
    rows, keys = found.rows[:, 0], sign * found.keys[:, 0]
    parts = {
        "embedding": np.multiply.outer(rows[:split], np.eye(width)),
        "position": np.multiply.outer(rows[split:], np.eye(width)),
        "key": np.eye(width)[:, None, :] * keys[:, None],
    }
    flat = [
        parts[name].reshape(-1, width) if name in parts else np.zeros((tensor.numel(), width))
        for name, tensor in model.named_parameters()
    ]
    return np.concatenate(flat) / 2**0.5
