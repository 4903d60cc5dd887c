"""Products with second derivatives of any model, many vectors at once, in reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.nested import map_tensors, tensors_in
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.progress import progress


def pulled(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    """Jᵀu for a block of cotangents u, with J = ∂outputs/∂inputs.

    All at once where PyTorch can batch every backward pass, else one after the other.

    Args:
        outputs: tensors that may depend on the inputs.
        inputs: tensors that require grad.
        cotangents: blocks of cotangents, (b, *shape) for each output.

    Returns:
        (b, *shape) for each input.
    """
    count = len(cotangents[0])
    pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]

    def once(parts: list[Tensor], *, batched: bool) -> list[Tensor]:
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            list(inputs),
            parts,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=batched,
        )
        shape = (count,) if batched else ()
        return [
            tensor.new_zeros(*shape, *tensor.shape) if part is None else part
            for tensor, part in zip(inputs, found, strict=True)
        ]

    if not pairs:
        return [tensor.new_zeros(count, *tensor.shape) for tensor in inputs]
    blocks = [block for _, block in pairs]
    try:
        return once(blocks, batched=True)
    except RuntimeError:  # an operation that cannot be batched; any other error comes again below
        each = [once(list(parts), batched=False) for parts in zip(*blocks, strict=True)]
        return [torch.stack(parts) for parts in zip(*each, strict=True)]


def blocks_of(objective: Objective, block: Tensor) -> list[Tensor]:
    """Vectors (P, b) by parameters: (b, *shape) for each."""
    shapes = [parameter.shape for parameter in objective.parameters.values()]
    rows = block.T.split([shape.numel() for shape in shapes], 1)
    return [part.reshape(len(part), *shape) for part, shape in zip(rows, shapes, strict=True)]


def vectors_of(blocks: Sequence[Tensor]) -> Tensor:
    """Their inverse: (P, b) of (b, *shape) for each parameter."""
    return torch.cat([block.reshape(len(block), block[0].numel()) for block in blocks], 1).T


def hessian_map(objective: Objective, batch: Batch) -> Callable[[Tensor], Tensor]:
    """V ↦ HV for blocks V (P, b), with H the Hessian of the loss of a batch.

    Hv is the derivative of ⟨∇L, v⟩ (Pearlmutter 1994, in reverse mode: PyTorch has second
    derivatives of more operations there). The gradient is linearised once for all blocks.
    """
    slopes = objective.slopes(objective.value(batch), create_graph=True)
    parameters = list(objective.parameters.values())
    return lambda block: vectors_of(pulled(slopes, parameters, blocks_of(objective, block)))


def gauss_newton_map(objective: Objective, batch: Batch) -> Callable[[Tensor], Tensor]:
    """V ↦ Jᵀ(∂²ℓ/∂f²)J V for blocks V (P, b), with f all tensors that the model returns.

    Jv is the derivative of Jᵀu with respect to u, so that J is the transpose of Jᵀ also where
    PyTorch's forward derivative is another one: that of an embedding moves the row that pads.

    Raises:
        ValueError: if the loss reads something else of the model than the tensors it returns.
    """
    linear = _Outputs(objective, batch)
    parameters = list(objective.parameters.values())

    def product(block: Tensor) -> Tensor:
        return vectors_of(linear.product(parameters, blocks_of(objective, block), parameters))

    return product


def add_hessian(
    total: Tensor, objective: Objective, batch: Batch, weight: float, *, directions: int
) -> None:
    """Add weight times the Hessian of the loss of a batch to the lower triangle of (P, P).

    The rows of one parameter are its gradient differentiated with respect to it and the ones after
    it only: the rest follows from symmetry, and no earlier layer takes part.
    """
    slopes = objective.slopes(objective.value(batch) * weight, create_graph=True)
    parameters = list(objective.parameters.values())
    for index, slope in enumerate(slopes):

        def rows(v: Tensor, slope: Tensor = slope, index: int = index) -> list[Tensor]:
            return pulled([slope], parameters[index:], [v])

        _add_rows(total, parameters[index:], rows, directions)


def add_gauss_newton(
    total: Tensor, objective: Objective, batch: Batch, weight: float, *, directions: int
) -> None:
    """Add weight · Jᵀ(∂²ℓ/∂f²)J to the lower triangle of (P, P), by parameters.

    Raises:
        ValueError: as `gauss_newton_map`.
    """
    linear = _Outputs(objective, batch)
    parameters = list(objective.parameters.values())
    for index in range(len(parameters)):

        def rows(v: Tensor, index: int = index) -> list[Tensor]:
            return linear.product([parameters[index]], [v * weight], parameters[index:])

        _add_rows(total, parameters[index:], rows, directions)


class _Outputs:
    """The outputs f of a batch, linearised, and the curvature of the loss in them."""

    def __init__(self, objective: Objective, batch: Batch) -> None:
        outputs, targets = objective.outputs(batch)
        self._outputs = [t for t in tensors_in(outputs) if t.is_floating_point()]
        leaves = {id(t): t.detach().requires_grad_() for t in self._outputs}
        value = objective.loss(map_tensors(lambda t: leaves.get(id(t), t), outputs), targets)
        around = torch.autograd.grad(
            value, list(objective.parameters.values()), retain_graph=True, allow_unused=True
        )
        if any(slope is not None for slope in around):
            raise ValueError(
                "the loss reads something else of the model than the tensors that it returns, and "
                "the Gauss–Newton part is not defined by them: return all that the loss needs"
            )
        self._cut = list(leaves.values())
        self._slopes = torch.autograd.grad(
            value, self._cut, create_graph=True, allow_unused=True, materialize_grads=True
        )

    def product(
        self, moving: Sequence[Tensor], block: Sequence[Tensor], parameters: Sequence[Tensor]
    ) -> list[Tensor]:
        """Jᵀ(∂²ℓ/∂f²)Jv, of directions in some parameters, with respect to others."""
        reached = [output for output in self._outputs if output.requires_grad]
        probes = [torch.zeros_like(output, requires_grad=True) for output in reached]
        back = torch.autograd.grad(
            reached, list(moving), probes, create_graph=True, allow_unused=True
        )
        held = [pair for pair in zip(back, block, strict=True) if pair[0] is not None]
        if not held:
            return [tensor.new_zeros(len(block[0]), *tensor.shape) for tensor in parameters]
        forward = pulled([b for b, _ in held], probes, [v for _, v in held])
        count = len(block[0])
        moved = iter(forward)
        tangents = [
            next(moved) if output.requires_grad else output.new_zeros(count, *output.shape)
            for output in self._outputs
        ]
        curved = pulled(self._slopes, self._cut, tangents)
        return pulled(self._outputs, parameters, curved)


def _add_rows(
    total: Tensor,
    later: Sequence[Tensor],
    rows: Callable[[Tensor], list[Tensor]],
    directions: int,
) -> None:
    """Add the rows of the first tensor's basis vectors, as columns of the last block."""
    start = len(total) - sum(tensor.numel() for tensor in later)
    first = later[0]
    bar = progress("second derivatives", first.numel(), unit="row")
    for offset in range(0, first.numel(), directions):
        count = min(directions, first.numel() - offset)
        basis = first.new_zeros(count, first.numel())
        basis[:, offset : offset + count].fill_diagonal_(1)
        found = rows(basis.view(count, *first.shape))
        total[start:, start + offset : start + offset + count] += vectors_of(found)
        bar.update(count)
    bar.close()
