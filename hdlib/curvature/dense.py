"""Exact Hessians and Gauss–Newton matrices as dense arrays."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdlib.curvature.data import Batch, Data
from hdlib.curvature.door import Door, split
from hdlib.curvature.layers import Affine, Layer, piecewise_linear
from hdlib.curvature.losses import Loss, OutputDerivatives, output_derivatives
from hdlib.curvature.memory import announce
from hdlib.curvature.objective import Objective
from hdlib.curvature.piecewise import GaussNewtonSum, ResidualSum, pull_back
from hdlib.curvature.products import add_gauss_newton, add_hessian
from hdlib.curvature.rank_k import mirror
from hdlib.curvature.settings import twice_differentiable

log = logging.getLogger(__name__)

SAMPLES = 128
PRODUCT_SAMPLES, DIRECTIONS = 64, 64


class HessianSplit(NamedTuple):
    """H = Gauss–Newton + residual, each (P, P) float64."""

    gauss_newton: Tensor
    residual: Tensor


def hessian(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Exact Hessian ∂²L/∂θ² of the mean loss L over all samples of ``data``.

    Computed in float64 whatever the model's dtype. Stacks of linear, convolution, ReLU, max-pool,
    average-pool and flatten layers with cross-entropy or mean squared error are recognised and
    computed from their structure (`hdlib.curvature.piecewise`), which costs about one symmetric
    rank-k product; other models and losses take P Hessian-vector products
    (`hdlib.curvature.products`), after a few evaluations that make sure that there is a Hessian
    (`hdlib.curvature.door`). At kinks the derivatives are those of PyTorch's autograd: a ReLU
    at exactly zero passes nothing, a tied max-pool passes its first largest entry.

    Args:
        model: any module; it is copied, in its mode (train, eval), and left as it is.
        loss: ``loss(outputs, targets)``, the *mean* over the samples it is given, also with class
            weights or ignored targets where `torch.nn.functional.cross_entropy` or ``nll_loss``
            takes them; its own tensors may be of another floating type.
        data: one batch or an iterable of batches (`hdlib.curvature.data.Data`), streamed in pieces;
            how they are cut does not matter.
        parameters: names of parameters, or of modules for all parameters in them; by default all
            that require grad. In the order of `named_parameters`, flattened row-major, they are θ,
            P numbers in all.
        dtype: of the derivatives; float32 for a model that is in single precision inside. Sums are
            taken in float64.

    Returns:
        (P, P) float64, exactly symmetric, on the model's device.

    Raises:
        ValueError: if data is empty or does not fit the loss, anything is not finite, a name is not
            known, or model and loss have no Hessian that is a mean over samples.
        TypeError: if the data have another form.
        MemoryError: if the matrices would not fit into the memory that is available.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> H = hessian(model, nn.functional.mse_loss, (x, torch.zeros(2, 1)))  # 2 XᵀX / N
        >>> H.round(decimals=12)
        tensor([[10., 14.],
                [14., 20.]], dtype=torch.float64)
    """
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    (total,) = _matrices(objective, 1)
    _fill(objective, data, gauss_newton=total, residual=total)
    return total


def gauss_newton(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Gauss–Newton part 1/N Σ Jᵀ(∂²ℓ/∂f²)J of the Hessian, positive semi-definite for convex ℓ.

    The outputs f are all tensors that the model returns. For cross-entropy it is the Fisher
    information matrix (Martens 2020). Arguments, result and errors are those of `hessian`.
    """
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    (total,) = _matrices(objective, 1)
    _fill(objective, data, gauss_newton=total, residual=None)
    return total


def hessian_split(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> HessianSplit:
    """Both parts of the Hessian, H = Gauss–Newton + residual (Schraudolph 2002).

    Arguments and errors are those of `hessian`.
    """
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    parts = HessianSplit(*_matrices(objective, 2))
    _fill(objective, data, gauss_newton=parts.gauss_newton, residual=parts.residual)
    return parts


def _matrices(objective: Objective, count: int) -> list[Tensor]:
    """Zero matrices for the results, if they and as much again for the sums fit into memory."""
    size, device = objective.size, objective.device
    needed = (count + 1) * size**2 * 8
    what = f"a Hessian of {size:,} parameters ({size**2 * 8 / 1e9:.2f} GB) with its sums"
    announce(what, needed, device)
    return [torch.zeros(size, size, dtype=torch.float64, device=device) for _ in range(count)]


def _fill(
    objective: Objective,
    data: Data,
    *,
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> None:
    """Add the parts of the Hessian to zero matrices; one matrix given twice gets their sum."""
    stream = objective.batches(data)
    first = next(stream)
    stream = itertools.chain([first], stream)
    with torch.no_grad():
        structure = _structure(objective, first)
        if structure is None:
            weight = _fill_by_products(objective, stream, gauss_newton, residual)
        else:
            weight = _fill_from_structure(
                *structure, _pairs(objective, stream), gauss_newton, residual
            )
        for matrix in {id(matrix): matrix for matrix in (gauss_newton, residual)}.values():
            if matrix is not None:
                mirror(matrix.div_(weight))
                if not torch.isfinite(matrix.sum()):
                    raise ValueError("the Hessian is not finite: outputs or losses overflow")


def _structure(
    objective: Objective, first: Batch
) -> tuple[list[Layer], Callable[[Tensor, Tensor], OutputDerivatives]] | None:
    """Layers and derivatives of the loss where both are recognised, in float64."""
    derivatives = output_derivatives(objective.loss_given)
    whole = len(objective.parameters) == len(list(objective.model.parameters()))
    one_tensor = len(first.args) == 1 and not first.kwargs and isinstance(first.args[0], Tensor)
    if derivatives is None or not (whole and one_tensor) or objective.dtype != torch.float64:
        return None
    x = first[:1].to(objective.device, objective.dtype).args[0]
    layers = piecewise_linear(objective.model, x)
    return None if layers is None else (layers, derivatives)


def _pairs(objective: Objective, stream: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
    for piece in split(stream, SAMPLES):
        cast = piece.to(objective.device, objective.dtype)
        yield cast.args[0], cast.targets


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
    for x, y in stream:
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
    objective: Objective,
    stream: Iterable[Batch],
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> float:
    """Add the sum over all samples, each with its weight; the sum of the weights comes back."""
    total = 0.0
    door = Door(objective)
    for piece, weight in door.pieces(stream, PRODUCT_SAMPLES, directions=DIRECTIONS):
        if not weight:
            continue
        with twice_differentiable(objective.dtype):
            if residual is not None:
                add_hessian(residual, objective, piece, weight, directions=door.directions)
            if residual is not gauss_newton:
                add_gauss_newton(gauss_newton, objective, piece, weight, directions=door.directions)
        total += weight
    if residual is not None and residual is not gauss_newton:
        residual -= gauss_newton
    return total
