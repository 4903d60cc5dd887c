"""The Hessian as an operator: its products with blocks of vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap

from hdlib.curvature.data import Data, batches, double, split
from hdlib.curvature.door import (
    cast_loss,
    check_curvature,
    check_mean,
    check_weight,
    twice_differentiable,
    weight_of,
)
from hdlib.curvature.factored import FactoredProducts, is_factored
from hdlib.curvature.losses import Loss
from hdlib.curvature.products import trained

SAMPLES = 500
DIRECTIONS = 4
"""Samples and directions at a time on the general path: larger temporaries cost page faults."""


class HessianOperator:
    """H = ∂²L/∂θ² of the mean loss L over all samples of ``data``, as ``operator @ block``.

    Hv is the derivative of ⟨∇L, v⟩ (Pearlmutter 1994, in reverse mode). The data are streamed in
    pieces, each with the weight of its number of samples, so a smaller last batch counts for what
    it holds; the gradient of a piece is linearised once for all vectors of a block, and memory does
    not grow with the data. For a `ModularTransformer` under cross-entropy the gradient is
    linearised once for all products (`hdlib.curvature.factored`), the same function up to rounding.

    Args:
        model: its parameters that require grad, in the order of `named_parameters`, are θ; copied
            in ``dtype``, in evaluation or training mode as it is.
        loss: mean-reduced ``loss(outputs, targets)``.
        data: ``(inputs, targets)`` or an iterable of such batches, gone through once and kept.
        dtype: of the computation; with float32 products are faster, and good to about 10⁻⁷ ‖H‖.

    Attributes:
        shape: (P, P).
        device: the model's.
        dtype: as given.

    Raises:
        ValueError: if there is no data or no parameter, or a parameter is not finite.
        TypeError: if a batch is not a pair of tensors.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> operator = HessianOperator(model, nn.MSELoss(), (x, torch.zeros(2, 1)))
        >>> operator @ torch.eye(2, dtype=torch.float64)
        tensor([[1., 0.],
                [0., 4.]], dtype=torch.float64)
    """

    def __init__(
        self, model: nn.Module, loss: Loss, data: Data, *, dtype: torch.dtype = torch.float64
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype={dtype}: allowed are torch.float64 and torch.float32")
        self.dtype = dtype
        self._model = double(model)
        if not is_factored(self._model, loss):
            self._model.to(dtype)
        self._loss = cast_loss(loss, next(self._model.parameters()).detach())
        self._parameters = trained(self._model)
        size = sum(parameter.numel() for parameter in self._parameters.values())
        self.shape = (size, size)
        self.device = next(iter(self._parameters.values())).device
        self._batches = list(batches(data, like=self._model))
        self._weigh = weight_of(loss)
        self._weight = sum(self._weigh(y) for _, y in self._batches)
        check_weight(self._weight)
        self._factored = None
        if is_factored(self._model, loss):
            x, y = (torch.cat(parts) for parts in zip(*self._batches, strict=True))
            self._factored = FactoredProducts(self._model, x, y, dtype=dtype)
        else:
            with twice_differentiable():
                check_mean(self._model, self._loss, *self._batches[0])
                if dtype == torch.float64:
                    check_curvature(self._model, self._loss, *self._batches[0])

    @torch.no_grad()
    def __matmul__(self, block: Tensor) -> Tensor:
        """HV (P, b) of V (P, b), or Hv (P,) of v (P,).

        Raises:
            ValueError: if V does not have P rows of the operator's type.
        """
        if block.ndim not in (1, 2) or len(block) != self.shape[1]:
            raise ValueError(f"vectors must be ({self.shape[1]}, b), got {tuple(block.shape)}")
        if block.dtype != self.dtype:
            raise ValueError(f"vectors must be {self.dtype}, got {block.dtype}")
        if block.ndim == 1:
            return (self @ block[:, None])[:, 0]
        if self._factored is not None:
            return self._factored(block)
        total = torch.zeros_like(block)
        with twice_differentiable():
            for x, y in split(self._batches, SAMPLES):
                if weight := self._weigh(y):
                    total += self._piece(x, y, block) * (weight / self._weight)
        return total

    def _piece(self, x: Tensor, y: Tensor, block: Tensor) -> Tensor:
        """Hessian-vector products of the mean loss over one piece of the data."""

        def value(parameters: dict[str, Tensor]) -> Tensor:
            return self._loss(functional_call(self._model, parameters, (x,)), y)

        pull = vjp(grad(value), self._parameters)[1]
        sizes = [parameter.numel() for parameter in self._parameters.values()]
        directions = {
            name: rows.reshape(-1, *self._parameters[name].shape)
            for name, rows in zip(self._parameters, block.T.split(sizes, 1), strict=True)
        }
        products = vmap(lambda v: pull(v)[0], chunk_size=DIRECTIONS)(directions)
        columns = [product.reshape(len(product), -1) for product in products.values()]
        return torch.cat(columns, 1).T
