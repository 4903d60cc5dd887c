"""What each sample adds: its loss, its curvature along a direction, its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import Door
from hdlib.curvature.inputs.nested import map_tensors
from hdlib.curvature.inputs.objective import Objective, require_finite
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.products import blocks_of, hessian_map, pulled, vectors_of
from hdlib.curvature.streamed import StreamedOperator
from hdlib.loss import Loss

SAMPLES = 25


@torch.inference_mode(False)
def sample_curvature(
    model: nn.Module,
    loss: Loss,
    data: Data,
    direction: Tensor,
    *,
    parameters: Sequence[str] | None = None,
) -> Tensor:
    """vᵀHₙv for each sample n, with Hₙ the Hessian of what it adds to the loss; their mean is vᵀHv.

    It is the second derivative of the sample's loss along v, times its weight over the mean weight
    where the loss weighs samples. One product for each sample: what would give all at once needs a
    third derivative, and PyTorch's of a layer norm is wrong.

    Args:
        model: module, as `hdlib.curvature.hessian` takes it.
        loss: mean-reduced loss, as `hdlib.curvature.hessian` takes it.
        data: N samples.
        direction: vector v, (P,).
        parameters: names of parameters or modules, as `hdlib.curvature.hessian` takes them.

    Returns:
        (N,) float64, in the order of the data; 0 for a sample that the loss does not count.

    Raises:
        ValueError: if ``direction`` does not have one entry for each parameter, or as
            `hdlib.curvature.hessian`.
    """
    objective = Objective(model, loss, parameters=parameters)
    if direction.shape != (objective.size,):
        raise ValueError(f"direction must be ({objective.size},), got {tuple(direction.shape)}")
    v = direction.to(objective.device).double()[:, None]
    door, curvatures, weights = Door(objective), [], []
    for piece, _ in door.pieces(objective.batches(data), SAMPLES, directions=1):
        for n in range(len(piece)):
            one = piece[n : n + 1]
            with twice_differentiable(objective.dtype):
                weight = objective.value_and_weight(one)[1]
                weights.append(1.0 if door.own_weights is False else weight)
                along = v.T @ hessian_map(objective, one)(v) if weights[-1] else v.new_zeros(1, 1)
            curvatures.append(along.detach().reshape(()) * weights[-1])
    found = torch.stack(curvatures) / (sum(weights) / len(weights))
    require_finite("second derivatives are", found)
    return found


class EmpiricalFisherOperator(StreamedOperator):
    """E = 1/N Σ gₙgₙᵀ with gₙ the gradient of the loss of sample n, at the targets that are given.

    It is not the Fisher information matrix (Kunstner, Balles & Hennig 2019), which for
    cross-entropy is `GaussNewtonOperator`. Where the loss weighs samples, so does the mean.
    Arguments, attributes and errors are those of `StreamedOperator`.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> fisher = EmpiricalFisherOperator(
        ...     nn.Linear(2, 1, bias=False), lambda f, y: (f * y).mean(), (x, torch.ones(2, 1))
        ... )
        >>> fisher @ torch.eye(2, dtype=torch.float64)  # XᵀX / N
        tensor([[0.5000, 0.0000],
                [0.0000, 2.0000]], dtype=torch.float64)
    """

    def _map(self, piece: Batch) -> Callable[[Tensor], Tensor]:
        objective = self._objective
        losses, weights = sample_losses(objective, piece, self._door)
        parameters = list(objective.parameters.values())
        probe = torch.zeros_like(losses, requires_grad=True)
        slopes = torch.autograd.grad(
            losses, parameters, probe, create_graph=True, allow_unused=True, materialize_grads=True
        )
        share = weights / weights.sum()

        def product(block: Tensor) -> Tensor:
            (along,) = pulled(slopes, [probe], blocks_of(objective, block))
            return vectors_of(pulled([losses], parameters, [along * share]))

        return product


def sample_losses(objective: Objective, piece: Batch, door: Door) -> tuple[Tensor, Tensor]:
    """The loss of each sample of a piece, and its weight, both (n,)."""
    outputs, targets = objective.outputs(piece)
    if isinstance(outputs, Tensor) and len(outputs) == len(piece):
        ones = (
            map_tensors(lambda t, n=n: t[n : n + 1].clone() if t.ndim else t, (outputs, targets))
            for n in range(len(piece))
        )
        each = [objective.loss_and_weight(output, target, 1) for output, target in ones]
    else:  # which part of it is whose, only the model knows
        each = [objective.value_and_weight(piece[n : n + 1]) for n in range(len(piece))]
    weights = [1.0 if door.own_weights is False else weight for _, weight in each]
    losses = torch.stack([value for value, _ in each])
    return losses, torch.tensor(weights, dtype=objective.dtype, device=objective.device)
