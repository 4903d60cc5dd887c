"""Derivatives by PyTorch's own transforms, on the flat parameter vector, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.func import hessian as func_hessian


def flat_parameters(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().double().flatten() for p in model.parameters() if p.requires_grad])


def outputs_of(model: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The outputs as a function of the flat parameters."""
    model = copy.deepcopy(model).double()
    shapes = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    x = x.double() if x.is_floating_point() else x

    def outputs(theta: Tensor) -> Tensor:
        pieces = theta.split([shape.numel() for shape in shapes.values()])
        tensors = {
            name: piece.view(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }
        return functional_call(model, tensors, (x,))

    return outputs


def objective(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """The mean loss as a function of the flat parameters."""
    outputs = outputs_of(model, x)
    return lambda theta: loss(outputs(theta), y)


def reference_hessian(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> Tensor:
    return func_hessian(objective(model, loss, x, y))(flat_parameters(model))


def unbatched_hessian(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> Tensor:
    """Row by row in reverse mode: `torch.func.hessian` of an affine LayerNorm is wrong."""
    value = torch.autograd.functional.hessian(objective(model, loss, x, y), flat_parameters(model))
    assert isinstance(value, Tensor)
    return value


def reference_gauss_newton(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> Tensor:
    """Jᵀ(∂²L/∂f²)J with the full Jacobian of all outputs of all samples."""
    outputs, theta = outputs_of(model, x), flat_parameters(model)
    f = outputs(theta)
    jacobian = jacrev(outputs)(theta).flatten(0, 1)
    curvature = func_hessian(lambda f: loss(f, y))(f).reshape(f.numel(), f.numel())
    return jacobian.T @ curvature @ jacobian


def reference_products(
    model: nn.Module, loss: Callable, x: Tensor, y: Tensor, directions: Tensor
) -> Tensor:
    """HV by vmap(jvp(grad)) over the columns of V."""
    slope, theta = grad(objective(model, loss, x, y)), flat_parameters(model)
    return vmap(lambda v: jvp(slope, (theta,), (v,))[1], in_dims=1, out_dims=1)(directions)


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Of Frobenius norms; absolute where the reference is zero."""
    return ((value - reference).norm() / (reference.norm() or 1)).item()
