"""The largest eigenvalue while a network trains, searched for from where it was last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hdlib.curvature import (
    CurvatureOperator,
    HessianOperator,
    PreconditionedOperator,
    adam_diagonal,
    lanczos,
)
from hdlib.training import State

TOLERANCE = 1e-3
"""Largest residual over the largest |λ|; the error of λ is of the order of its square."""
BLOCK = 4
MOST_PRODUCTS = 400
BETA1, BETA2 = 0.9, 0.999
"""Of Adam: PyTorch's own."""

Data = tuple[Tensor, Tensor]


def sharpness(state: State, data: Data) -> dict[str, float]:
    """Largest eigenvalue of the Hessian of the mean cross-entropy, and its residual.

    Args:
        state: training; its memory has the vectors found at earlier steps.
        data: training pairs.
    """
    exact, quick = (_hessian(state, data, dtype) for dtype in (torch.float64, torch.float32))
    return _leading("largest_eigenvalue", exact, quick, state)


def adam_sharpness(state: State, data: Data) -> dict[str, float]:
    """The same of the Hessian as Adam sees it (`hdlib.curvature.adam_diagonal`).

    There is none before the first update.
    """
    if not state.optimizer.state_dict()["state"]:
        return {}
    moments = [state.optimizer.state[p]["exp_avg_sq"].flatten() for p in state.model.parameters()]
    diagonal = adam_diagonal(torch.cat(moments), step=state.step, beta1=BETA1, beta2=BETA2)
    exact, quick = (
        PreconditionedOperator(_hessian(state, data, dtype), diagonal)
        for dtype in (torch.float64, torch.float32)
    )
    return _leading("adam_eigenvalue", exact, quick, state)


def _hessian(state: State, data: Data, dtype: torch.dtype) -> HessianOperator:
    return HessianOperator(state.model, F.cross_entropy, data, dtype=dtype)


def _leading(
    name: str, exact: CurvatureOperator, quick: CurvatureOperator, state: State
) -> dict[str, float]:
    """The largest eigenvalue, warm-started from the vector of the last step before this one.

    The memory holds two steps: a training that goes on from a state may have to measure again at
    the step of the state itself, and must then start from where it did the first time.
    """
    steps = state.memory.get(f"{name}_steps", torch.empty(0, dtype=torch.int64))
    vectors = state.memory.get(f"{name}_vectors", torch.empty(0, exact.shape[0]))
    earlier = steps < state.step
    steps, vectors = steps[earlier][-1:], vectors[earlier][-1:]
    found = lanczos(
        exact,
        search=quick,
        start=vectors.T if len(vectors) else None,
        top=1,
        bottom=0,
        tol=TOLERANCE,
        block=BLOCK,
        max_products=MOST_PRODUCTS,
        mark=True,
    )
    new = torch.from_numpy(found.top(1).T.copy()).float()
    state.memory[f"{name}_steps"] = torch.cat([steps, torch.tensor([state.step])])
    state.memory[f"{name}_vectors"] = torch.cat([vectors, new])
    return {name: float(found.eigenvalues[0]), f"{name}_residual": float(found.residuals[0])}
