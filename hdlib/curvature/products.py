"""Hessians of any model, by batched products with blocks of basis vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap

from hdlib.curvature.losses import Loss

DIRECTIONS = 64


def trained(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that training moves, in the order of `named_parameters`."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def add_hessian(total: Tensor, model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> None:
    """Add the Hessian of ``loss(model(x), y)`` to the lower triangle of ``total``, (P, P).

    The rows of one parameter tensor are the gradient with respect to it, differentiated once more
    in reverse with respect to it and the tensors after it only: the rest follows from symmetry, and
    no earlier layer takes part. (Pearlmutter 1994 differentiates forward; PyTorch has second
    derivatives of more operations in reverse.)
    """
    parameters = trained(model)

    def gradient(name: str, moving: dict[str, Tensor]) -> Tensor:
        def objective(tensor: Tensor) -> Tensor:
            tensors = parameters | moving | {name: tensor}
            return loss(functional_call(model, tensors, (x,)), y)

        return grad(objective)(moving[name])

    for name, moving in _suffixes(parameters):
        pull = vjp(lambda moving, name=name: gradient(name, moving), moving)[1]
        _add_rows(total, moving, lambda v, pull=pull: pull(v)[0], parameters[name])


def add_gauss_newton(total: Tensor, model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> None:
    """Add Jᵀ(∂²ℓ/∂f²)J to the lower triangle of ``total``, (P, P), by parameter tensors."""
    parameters = trained(model)

    def outputs(tensors: dict[str, Tensor]) -> Tensor:
        return functional_call(model, parameters | tensors, (x,))

    with torch.no_grad():
        f = outputs({})
    curve = vjp(grad(lambda f: loss(f, y)), f)[1]
    for name, moving in _suffixes(parameters):
        pull = vjp(outputs, moving)[1]

        # J v by differentiating u ↦ Jᵀu: forward mode moves what a gradient leaves alone, such as
        # the row of an embedding that pads.
        back = vjp(lambda p, name=name: outputs({name: p}), parameters[name])[1]
        forward = vjp(lambda u, back=back: back(u)[0], torch.zeros_like(f))[1]

        def row(v: Tensor, pull: Callable = pull, forward: Callable = forward) -> dict[str, Tensor]:
            return pull(curve(forward(v)[0])[0])[0]

        _add_rows(total, moving, row, parameters[name])


def _suffixes(parameters: dict[str, Tensor]):
    """Each name with the parameters from it on."""
    names = list(parameters)
    for index, name in enumerate(names):
        yield name, {later: parameters[later] for later in names[index:]}


def _add_rows(
    total: Tensor,
    moving: dict[str, Tensor],
    row: Callable[[Tensor], dict[str, Tensor]],
    parameter: Tensor,
) -> None:
    """Add the rows of one tensor's basis vectors, as columns of the last parameters' block."""
    start = len(total) - sum(tensor.numel() for tensor in moving.values())
    size = parameter.numel()
    for offset in range(0, size, DIRECTIONS):
        count = min(DIRECTIONS, size - offset)
        basis = parameter.new_zeros(count, size)
        basis[:, offset : offset + count].fill_diagonal_(1)
        rows = vmap(row)(basis.view(count, *parameter.shape))
        flat = torch.cat([tensor.reshape(count, -1) for tensor in rows.values()], 1)
        total[start:, start + offset : start + offset + count] += flat.T
