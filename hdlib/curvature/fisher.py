"""The trace of the empirical Fisher matrix, from the gradient of each sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from hdlib.curvature.averages import Mean, mean_over
from hdlib.curvature.contributions import sample_losses
from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import Door
from hdlib.curvature.inputs.nested import map_tensors, tensors_in
from hdlib.curvature.inputs.objective import Objective, require_finite
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.loss import Loss

NUMBERS = 2**23
"""Most entries of gradients at a time: 64 MB in double precision."""


@torch.inference_mode(False)
def fisher_trace(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Mean:
    """The trace 1/N Σ ‖gₙ‖² of the empirical Fisher matrix, gₙ the gradient of a sample's loss.

    It is that of `EmpiricalFisherOperator`, without the error of random probes: the standard error
    is that over the samples. Where the loss weighs samples, so does the mean. Gradients are taken
    of many samples at once where PyTorch can batch the model, else of one after the other.

    Arguments and errors are those of `hdlib.curvature.hessian`; ``dtype`` as for
    `EmpiricalFisherOperator`.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> model = nn.Linear(2, 1, bias=False)
        >>> fisher_trace(model, lambda f, y: (f * y).mean(), (x, torch.ones(2, 1)))
        Mean(value=2.5, standard_error=1.5)
    """
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    most = max(1, NUMBERS // objective.size)
    door, squares, weights = Door(objective, order=1), [], []
    for piece, _ in door.pieces(objective.batches(data), most, directions=0):
        with twice_differentiable(dtype):
            counted = _weights(objective, piece, door)
            found = _squared_norms(objective, piece)
        squares.append(torch.where(counted > 0, found, 0))
        weights.append(counted)
    each = torch.cat(squares)
    require_finite("gradients are", each)
    return mean_over(each, torch.cat(weights))


def _weights(objective: Objective, piece: Batch, door: Door) -> Tensor:
    if door.own_weights is False:
        return torch.ones(len(piece), device=objective.device)
    with torch.no_grad():
        return sample_losses(objective, piece, door)[1]


def _squared_norms(objective: Objective, piece: Batch) -> Tensor:
    """‖gₙ‖² for each sample of a piece, (n,)."""
    try:
        return _together(objective, piece)
    except RuntimeError:  # an operation that cannot be batched; any other error comes again below
        ones = (objective.slopes(objective.value(piece[n : n + 1])) for n in range(len(piece)))
        return torch.stack([_sum_of_squares(slopes) for slopes in ones])


def _together(objective: Objective, piece: Batch) -> Tensor:
    evaluation = _Evaluation(objective)
    theta = {f"model.{name}": p.detach() for name, p in objective.parameters.items()}
    tensors = tensors_in(piece)

    def squared_norm(*sample: Tensor) -> Tensor:
        parts = iter(sample)
        one = map_tensors(lambda t: next(parts)[None] if t.ndim else next(parts), piece)
        slopes = grad(lambda theta: functional_call(evaluation, theta, (one,)))(theta)
        return _sum_of_squares(slopes.values())

    axes = tuple(0 if tensor.ndim else None for tensor in tensors)
    return vmap(squared_norm, in_dims=axes)(*tensors)


def _sum_of_squares(tensors: Iterable[Tensor]) -> Tensor:
    """Over all entries of some tensors, a scalar."""
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum()


class _Evaluation(nn.Module):
    """The loss of a batch as a module, so that it can be called with other parameters."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.model = objective.model
        self._value = objective.value

    def forward(self, batch: Batch) -> Tensor:
        return self._value(batch)
