"""Exact Hessians and Gauss–Newton matrices as dense arrays."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
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
from hdlib.curvature.layers import Affine, Layer, piecewise_linear
from hdlib.curvature.losses import Loss, OutputDerivatives, output_derivatives
from hdlib.curvature.memory import announce
from hdlib.curvature.piecewise import GaussNewtonSum, ResidualSum, pull_back
from hdlib.curvature.products import add_gauss_newton, add_hessian, trained
from hdlib.curvature.rank_k import mirror

log = logging.getLogger(__name__)

SAMPLES = 128
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
    rank-k product; other models and losses take P Hessian-vector products
    (`hdlib.curvature.products`). At kinks the derivatives are those of PyTorch's autograd: a ReLU
    at exactly zero passes nothing, a tied max-pool passes its first largest entry.

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
    (total,) = _matrices(model, 1)
    _fill(model, loss, data, gauss_newton=total, residual=total)
    return total


def gauss_newton(model: nn.Module, loss: Loss, data: Data) -> Tensor:
    """Gauss–Newton part 1/N Σ Jᵀ(∂²ℓ/∂f²)J of the Hessian, positive semi-definite for convex ℓ.

    For cross-entropy it is the Fisher information matrix (Martens 2020). Arguments, result and
    errors are those of `hessian`.
    """
    (total,) = _matrices(model, 1)
    _fill(model, loss, data, gauss_newton=total, residual=None)
    return total


def hessian_split(model: nn.Module, loss: Loss, data: Data) -> HessianSplit:
    """Both parts of the Hessian, H = Gauss–Newton + residual (Schraudolph 2002).

    Arguments and errors are those of `hessian`.
    """
    parts = HessianSplit(*_matrices(model, 2))
    _fill(model, loss, data, gauss_newton=parts.gauss_newton, residual=parts.residual)
    return parts


def _matrices(model: nn.Module, count: int) -> list[Tensor]:
    """Zero matrices for the results, if they and as much again for the sums fit into memory."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    size = sum(parameter.numel() for parameter in trained(model).values())
    needed = (count + 1) * size**2 * 8
    what = f"a Hessian of {size:,} parameters ({size**2 * 8 / 1e9:.2f} GB) with its sums"
    announce(what, needed, device)
    return [torch.zeros(size, size, dtype=torch.float64, device=device) for _ in range(count)]


@torch.no_grad()
def _fill(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> None:
    """Add the parts of the Hessian to zero matrices; one matrix given twice gets their sum."""
    model = double(model)
    stream = batches(data, like=model)
    first = next(stream)
    stream = itertools.chain([first], stream)
    loss = cast_loss(loss, next(model.parameters()))
    derivatives = output_derivatives(loss)
    layers = None if derivatives is None else piecewise_linear(model, first[0][:1])
    if derivatives is not None and layers is not None:
        samples = _fill_from_structure(layers, derivatives, stream, gauss_newton, residual)
    else:
        with twice_differentiable():
            check_mean(model, loss, *first)
            check_curvature(model, loss, *first)
            samples = _fill_by_products(model, loss, stream, gauss_newton, residual)
        check_weight(samples)
    for matrix in {id(matrix): matrix for matrix in (gauss_newton, residual)}.values():
        if matrix is not None:
            mirror(matrix.div_(samples))


def _fill_from_structure(
    layers: list[Layer],
    derivatives: Callable[[Tensor, Tensor], OutputDerivatives],
    stream: Iterable[tuple[Tensor, Tensor]],
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> int:
    curved = GaussNewtonSum(layers)
    bent = ResidualSum(layers)
    samples = 0
    for x, y in split(stream, SAMPLES):
        outputs = x
        for layer in layers:
            outputs = layer.forward(outputs)
        factors, errors = pull_back(layers, derivatives(outputs, y))
        patches = {layer: layer.patches() for layer in factors}
        curved.add(factors, patches)
        if residual is not None:
            bent.add(errors, patches)
        samples += len(x)
    for block in curved.blocks():
        _place(gauss_newton, *block)
    if residual is not None:
        for block in bent.blocks():
            _place(residual, *block)
    return samples


def _place(matrix: Tensor, earlier: Affine, later: Affine, block: Tensor) -> None:
    """Add a block (Oᵢ, columnsᵢ, Oⱼ, columnsⱼ) of layers i ≤ j to the lower triangle."""
    for row, row_columns in _parameters(later, block.shape[3]):
        for column, column_columns in _parameters(earlier, block.shape[1]):
            target = matrix[row, column].unflatten(0, (later.outputs, -1))
            target = target.unflatten(2, (earlier.outputs, -1))
            target += block[:, column_columns, :, row_columns].permute(2, 3, 0, 1)


def _parameters(layer: Affine, columns: int) -> Iterator[tuple[slice, slice]]:
    """Where a layer's weight, and its bias if it is among the columns, lie in θ and in a block."""
    end = layer.start + layer.outputs * layer.fan_in
    yield slice(layer.start, end), slice(0, layer.fan_in)
    if columns > layer.fan_in:
        yield slice(end, end + layer.outputs), slice(layer.fan_in, columns)


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
