"""Exact Hessians and Gauss–Newton matrices as dense arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import Door, split
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.memory import announce
from hdlib.curvature.products import add_gauss_newton, add_hessian
from hdlib.curvature.progress import progress
from hdlib.curvature.structure import Filling, recognise
from hdlib.loss import Loss

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
    computed from their structure (`hdlib.curvature.structure.stacks`), which costs about one
    symmetric rank-k product; other models and losses, and the few stacks where that is estimated to
    be cheaper, take P Hessian-vector products (`hdlib.curvature.products`), after a few evaluations
    that make sure that there is a Hessian (`hdlib.curvature.inputs`). At kinks the derivatives are
    those of PyTorch's autograd: a ReLU at exactly zero passes nothing, a tied max-pool passes its
    first largest entry.

    Args:
        model: any module; copied, in its mode (train, eval), and left as it is.
        loss: ``loss(outputs, targets)``, the *mean* over the samples it is given, also with class
            weights or ignored targets where `torch.nn.functional.cross_entropy` or ``nll_loss``
            takes them; its own tensors may be of another floating type.
        data: one batch or an iterable of batches (`hdlib.curvature.inputs.data.Data`), streamed in
            pieces; how they are cut does not matter.
        parameters: names of parameters, or of modules for all parameters in them; by default all
            that require grad. In the order of `named_parameters`, flattened row-major, they are θ,
            P numbers in all.
        dtype: type of the derivatives; float32 for a model that is in single precision inside.
            Sums are taken in float64.

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
    return _computed(objective, data, matrices=1, residual=True)[0]


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
    return _computed(objective, data, matrices=1, residual=False)[0]


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
    return HessianSplit(*_computed(objective, data, matrices=2, residual=True))


@torch.inference_mode(False)
def _computed(objective: Objective, data: Data, *, matrices: int, residual: bool) -> list[Tensor]:
    """The sum of the parts in one matrix or each in its own, or the Gauss–Newton part alone."""
    stream = objective.batches(data)
    first = next(stream)
    stream = itertools.chain([first], stream)
    with torch.no_grad():
        filling = _filling(objective, first, residual=residual)
        found = _matrices(objective, matrices, 0 if filling is None else filling.memory)
        parts = found[0], found[-1] if residual else None
        if filling is None:
            weight = _fill_by_products(objective, stream, *parts)
        else:
            weight = filling.fill(_pairs(objective, stream, filling.samples), *parts)
        for matrix in found:
            _mirror(matrix.div_(weight))
            if not torch.isfinite(matrix.sum()):
                raise ValueError("the Hessian is not finite: outputs or losses overflow")
    return found


def _matrices(objective: Objective, count: int, beside: int) -> list[Tensor]:
    """Zero matrices for the results, if they and what is needed ``beside`` them fit into memory."""
    size, device = objective.size, objective.device
    what = f"a Hessian of {size:,} parameters ({size**2 * 8 / 1e9:.2f} GB) with its sums"
    announce(what, 8 * count * size**2 + beside, device)
    return [torch.zeros(size, size, dtype=torch.float64, device=device) for _ in range(count)]


def _filling(objective: Objective, first: Batch, *, residual: bool) -> Filling | None:
    """How the structure fills the matrices, where it is recognised, in float64, and pays."""
    if objective.dtype != torch.float64:
        return None
    sample = first[:1].to(objective.device, objective.dtype)
    engine = recognise(objective.model, objective.loss_given, sample)
    return None if engine is None else engine.filling(residual=residual)


def _pairs(
    objective: Objective, stream: Iterable[Batch], size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    bar = progress("samples", unit="sample")
    for piece in split(stream, size):
        cast = piece.to(objective.device, objective.dtype)
        yield cast.args[0], cast.targets
        bar.update(len(piece))
    bar.close()


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


def _mirror(matrix: Tensor, *, block: int = 512) -> Tensor:
    """Copy the lower triangle of a square matrix onto its upper one, in place."""
    for start in range(0, len(matrix), block):
        end = start + block
        corner = matrix[start:end, start:end]
        corner.copy_(corner.tril() + corner.tril(-1).T)
        matrix[start:end, end:] = matrix[end:, start:end].T
    return matrix
