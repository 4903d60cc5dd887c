"""What moving the weights does to the outputs: J v, and how much of it each feature takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import split
from hdlib.curvature.inputs.objective import NoHessianError, Objective, require_finite
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.memory import announce
from hdlib.curvature.products import blocks_of, pulled
from hdlib.curvature.progress import progress

FloatArray = NDArray[np.float64]

Features: TypeAlias = ArrayLike | Callable[[Tensor], Tensor] | None
"""Parts of a change of the outputs: an array (F, C) or (F, r, C) of r rows for each feature, or a
linear function of changes (m, n, ...) that gives (m, n, F) or (m, n, F, r); by default each output.
"""

SAMPLES, DIRECTIONS = 256, 16
"""Samples in a piece, and directions that are pushed forward at a time."""
SAME = 1e-9
"""How far two outputs that should be equal may differ, over the largest."""


def pushed(outputs: Tensor, parameters: Sequence[Tensor], block: Sequence[Tensor]) -> Tensor:
    """J V for a block of directions V, with J = ∂outputs/∂parameters.

    J v is the derivative of Jᵀu with respect to u, so that J is the transpose of Jᵀ also where
    PyTorch's forward derivative is another one: that of an embedding moves the row that pads.

    Args:
        outputs: tensor that may depend on the parameters.
        parameters: tensors that require grad.
        block: directions, (b, *shape) for each parameter.

    Returns:
        (b, *shape) of the outputs.
    """
    count = len(block[0])
    if not outputs.requires_grad:
        return outputs.new_zeros(count, *outputs.shape)
    probe = torch.zeros_like(outputs, requires_grad=True)
    back = torch.autograd.grad(
        outputs, list(parameters), probe, create_graph=True, allow_unused=True
    )
    held = [pair for pair in zip(back, block, strict=True) if pair[0] is not None]
    return pulled([slope for slope, _ in held], [probe], [part for _, part in held])[0]


@torch.inference_mode(False)
def response_curvatures(
    model: nn.Module,
    data: Data,
    directions: FloatArray,
    *,
    features: Features = None,
    parameters: Sequence[str] | None = None,
) -> FloatArray:
    """How much of what directions do to the outputs each feature takes: Vᵀ G_f V.

    With Jₙ the Jacobian of the outputs at sample n and F_f the r rows of feature f,

        G_f = 1/N Σₙ Jₙᵀ F_fᵀ F_f Jₙ,

    so that vᵀ G_f v is the mean over the samples of the squared change of the feature along v, and
    in another basis V R the matrices are Rᵀ (Vᵀ G_f V) R. It is the Gauss–Newton matrix of the mean
    squared change of the feature.

    Args:
        model: module, as `hdlib.curvature.hessian` takes it. Where it returns more than a tensor,
            its ``logits`` are its outputs.
        data: N samples, as `hdlib.curvature.hessian` takes them; targets are not used.
        directions: V, (P, m).
        features: as `Features`.
        parameters: names of parameters or modules, as `hdlib.curvature.hessian` takes them.

    Returns:
        (F, m, m) float64, symmetric and positive semidefinite.

    Raises:
        ValueError: if directions or features do not fit, or outputs are not one tensor with a row
            for each sample that depends on this sample alone, and is the same twice.
        MemoryError: if there is no room for the matrices.
    """
    objective = Objective(model, cross_entropy, parameters=parameters)
    if directions.ndim != 2 or len(directions) != objective.size or not directions.size:
        raise ValueError(f"directions must be ({objective.size}, m), got {directions.shape}")
    block = torch.from_numpy(np.ascontiguousarray(directions)).to(objective.device)
    total, count, bar = None, 0, progress("responses", unit="sample")
    for piece in split(objective.batches(data), SAMPLES):
        with twice_differentiable(objective.dtype):
            parts = _parts(objective, piece, block, features, first=total is None)
        rows = parts.flatten(3).permute(2, 0, 1, 3).flatten(2)
        if total is None:
            announce("response curvatures", 8 * len(rows) * len(block.T) ** 2, objective.device)
            total = rows.new_zeros(len(rows), len(block.T), len(block.T))
        total.baddbmm_(rows, rows.mT)
        count += len(piece)
        bar.update(len(piece))
    bar.close()
    assert total is not None  # data that are empty are refused
    require_finite("derivatives of the outputs are", total)
    return (total / count).cpu().numpy()


def _parts(
    objective: Objective, piece: Batch, block: Tensor, features: Features, *, first: bool
) -> Tensor:
    """Features of the changes along all directions, (m, n, F, r)."""
    outputs = _outputs(objective, piece)
    if first:
        _check_outputs(objective, piece, outputs)
    parameters = list(objective.parameters.values())
    changes = torch.cat(
        [
            pushed(outputs, parameters, blocks_of(objective, some)).detach()
            for some in block.split(DIRECTIONS, 1)
        ]
    )
    if not callable(features):
        return _projected(changes, features)
    parts = features(changes)
    fits = isinstance(parts, Tensor) and parts.ndim in (3, 4)
    if not fits or parts.shape[:2] != changes.shape[:2]:
        got = tuple(parts.shape) if isinstance(parts, Tensor) else type(parts).__name__
        m, n = changes.shape[:2]
        raise ValueError(f"features of changes must be a tensor ({m}, {n}, F[, r]), got {got}")
    if first:
        mixed = features(changes[:1] - 3 * changes[-1:])
        apart = mixed - (parts[:1] - 3 * parts[-1:])
        if not apart.abs().max() <= SAME * parts.abs().max():
            raise ValueError("features must be a linear function of the changes")
    return parts.double() if parts.ndim == 4 else parts[..., None].double()


def _projected(changes: Tensor, features: ArrayLike | None) -> Tensor:
    flat = changes.flatten(2)
    if features is None:
        return flat[..., None]
    rows = torch.as_tensor(np.asarray(features, dtype=np.float64)).to(flat)
    if rows.ndim not in (2, 3) or rows.shape[-1] != flat.shape[2]:
        raise ValueError(
            f"features must be (F, {flat.shape[2]}) or (F, r, {flat.shape[2]}), numbers for each "
            f"output, got {tuple(rows.shape)}"
        )
    rows = rows if rows.ndim == 3 else rows[:, None]
    return (flat @ rows.flatten(0, 1).T).unflatten(2, rows.shape[:2])


def _outputs(objective: Objective, piece: Batch) -> Tensor:
    outputs = objective.outputs(piece)[0]
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        raise NoHessianError(f"outputs must be one real tensor, got {type(outputs).__name__}")
    if outputs.ndim < 2 or len(outputs) != len(piece):
        raise NoHessianError(
            f"outputs of {len(piece)} samples must be ({len(piece)}, C), got {tuple(outputs.shape)}"
        )
    return outputs


def _check_outputs(objective: Objective, piece: Batch, outputs: Tensor) -> None:
    """They are the same twice, and those of a sample the same without the others."""
    few = piece[: max(1, len(piece) // 2)]
    with torch.no_grad():
        for again, what in ((piece, "again"), (few, "without the others")):
            there = _outputs(objective, again)
            if not (there - outputs[: len(again)]).abs().max() <= SAME * outputs.abs().max():
                raise NoHessianError(
                    f"outputs of the same samples differ when computed {what} (dropout, batch "
                    f"statistics){objective.advice()}"
                )
