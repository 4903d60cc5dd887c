"""Exact Hessians and Gauss–Newton matrices as dense arrays."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdlib.curvature.data import Data, batches, double, split
from hdlib.curvature.door import (
    cast_loss,
    check_curvature,
    check_mean,
    check_weight,
    twice_differentiable,
    weight_of,
)
from hdlib.curvature.layers import piecewise_linear
from hdlib.curvature.losses import Loss, output_derivatives
from hdlib.curvature.memory import announce
from hdlib.curvature.products import add_gauss_newton, add_hessian, trained
from hdlib.curvature.rank_k import mirror
from hdlib.curvature.structured import fill_from_structure, structured_memory, worthwhile

log = logging.getLogger(__name__)

PRODUCT_SAMPLES = 64


class HessianSplit(NamedTuple):
    """H = Gauss–Newton + residual, each (P, P) float64."""

    gauss_newton: Tensor
    residual: Tensor


def hessian(model: nn.Module, loss: Loss, data: Data) -> Tensor:
    """Exact Hessian ∂²L/∂θ² of the mean loss L over all samples of ``data``.

    Computed in float64 whatever the model's dtype. Stacks of linear, convolution, ReLU, max-pool,
    average-pool and flatten layers with cross-entropy or mean squared error are recognised and
    computed from their structure (`hdlib.curvature.piecewise`), which costs about one symmetric
    rank-k product; other models and losses, and the few stacks where it is estimated to be cheaper
    (`hdlib.curvature.structured`), take P Hessian-vector products (`hdlib.curvature.products`).
    At kinks the derivatives are those of PyTorch's autograd: a ReLU at exactly zero passes nothing,
    a tied max-pool passes its first largest entry.

    Args:
        model: any module; its parameters that require grad, in the order of `named_parameters`,
            flattened row-major, are θ, P numbers in all. Its mode (train, eval) is kept.
        loss: ``loss(outputs, targets)``, the *mean* over the samples it is given.
        data: ``(inputs, targets)`` or an iterable of such batches, streamed in chunks; every sample
            weighs the same.

    Returns:
        (P, P) float64, exactly symmetric, on the model's device.

    Raises:
        ValueError: if data is empty or does not fit the loss, or a parameter is not finite.
        MemoryError: if the matrices would not fit into the memory that is available.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> H = hessian(model, nn.functional.mse_loss, (x, torch.zeros(2, 1)))  # 2 XᵀX / N
        >>> H.round(decimals=12)
        tensor([[10., 14.],
                [14., 20.]], dtype=torch.float64)
    """
    (total,) = _computed(model, loss, data, matrices=1, residual=True)
    return total


def gauss_newton(model: nn.Module, loss: Loss, data: Data) -> Tensor:
    """Gauss–Newton part 1/N Σ Jᵀ(∂²ℓ/∂f²)J of the Hessian, positive semi-definite for convex ℓ.

    For cross-entropy it is the Fisher information matrix (Martens 2020). Arguments, result and
    errors are those of `hessian`.
    """
    (total,) = _computed(model, loss, data, matrices=1, residual=False)
    return total


def hessian_split(model: nn.Module, loss: Loss, data: Data) -> HessianSplit:
    """Both parts of the Hessian, H = Gauss–Newton + residual (Schraudolph 2002).

    Arguments and errors are those of `hessian`.
    """
    return HessianSplit(*_computed(model, loss, data, matrices=2, residual=True))


@torch.no_grad()
def _computed(
    model: nn.Module, loss: Loss, data: Data, *, matrices: int, residual: bool
) -> list[Tensor]:
    """The sum of the parts in one matrix or each in its own, or the Gauss–Newton part alone."""
    model = double(model)
    stream = batches(data, like=model)
    first = next(stream)
    stream = itertools.chain([first], stream)
    loss = cast_loss(loss, next(model.parameters()))
    derivatives = output_derivatives(loss)
    layers = None if derivatives is None else piecewise_linear(model, first[0][:1])
    if layers is not None and not worthwhile(layers, residual=residual):
        layers = None
    size = sum(parameter.numel() for parameter in trained(model).values())
    beside = structured_memory(layers, residual=residual) if layers else 8 * size**2
    found = _matrices(size, matrices, beside, next(model.parameters()).device)
    parts = found[0], found[-1] if residual else None
    if derivatives is not None and layers is not None:
        samples = fill_from_structure(layers, derivatives, stream, *parts)
    else:
        with twice_differentiable():
            check_mean(model, loss, *first)
            check_curvature(model, loss, *first)
            samples = _fill_by_products(model, loss, stream, *parts)
    check_weight(samples)
    return [mirror(matrix.div_(samples)) for matrix in found]


def _matrices(size: int, count: int, beside: int, device: torch.device) -> list[Tensor]:
    """Zero matrices for the results, if they and what is needed ``beside`` them fit into memory."""
    what = f"a Hessian of {size:,} parameters ({size**2 * 8 / 1e9:.2f} GB) with its sums"
    announce(what, 8 * count * size**2 + beside, device)
    return [torch.zeros(size, size, dtype=torch.float64, device=device) for _ in range(count)]


def _fill_by_products(
    model: nn.Module,
    loss: Loss,
    stream: Iterable[tuple[Tensor, Tensor]],
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> float:
    """Add the sum over all samples, each with its weight; the sum of the weights comes back."""
    weigh = weight_of(loss)
    samples = 0.0
    for x, y in split(stream, PRODUCT_SAMPLES):
        weight = weigh(y)
        if not weight:
            continue

        def summed(outputs: Tensor, targets: Tensor, weight: float = weight) -> Tensor:
            return loss(outputs, targets) * weight

        if residual is not None:
            add_hessian(residual, model, summed, x, y)
        if residual is not gauss_newton:
            add_gauss_newton(gauss_newton, model, summed, x, y)
        samples += weight
    if residual is not None and residual is not gauss_newton:
        residual -= gauss_newton
    return samples
