"""The Hessian and its relatives as operators: their products with blocks of vectors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.products import gauss_newton_map, hessian_map
from hdlib.curvature.streamed import StreamedOperator
from hdlib.curvature.structure import Engine, recognise


class HessianOperator(StreamedOperator):
    """H = ∂²L/∂θ² of the mean loss L over all samples of ``data``, as ``operator @ block``.

    Hv is the derivative of ⟨∇L, v⟩ (Pearlmutter 1994, in reverse mode). The gradient of a piece of
    the data is linearised once for all vectors of a block. Where the structure of the model has
    products of its own (`hdlib.curvature.structure`), it is linearised once for all of them, the
    same function up to rounding. Arguments, attributes and errors are those of `StreamedOperator`.

    Example:
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> operator = HessianOperator(model, torch.nn.MSELoss(), (x, torch.zeros(2, 1)))
        >>> (2 * operator) @ torch.eye(2, dtype=torch.float64)
        tensor([[2., 0.],
                [0., 8.]], dtype=torch.float64)
    """

    def _take(self, stream: Iterator[Batch]) -> None:
        first = next(stream)
        stream = itertools.chain([first], stream)
        engine = self._engine(first[:1])
        self._products = None
        if engine is not None:
            batches = list(stream)
            self._products = engine.products(batches, dtype=self.dtype)
            stream = iter(batches)
        if self._products is None:
            super()._take(stream)

    def _engine(self, sample: Batch) -> Engine | None:
        objective = self._objective
        cast = sample.to(self.device, self.dtype)
        engine = recognise(objective.model, objective.loss_given, cast)
        if engine is None or self.dtype == torch.float64:
            return engine
        # What does not depend on the vectors is computed in float64 whatever their type.
        given, loss = objective.given, objective.loss_given
        exact = Objective(given, loss, parameters=list(objective.parameters))
        return recognise(exact.model, loss, sample.to(self.device, torch.float64))

    def _map(self, piece: Batch) -> Callable[[Tensor], Tensor]:
        return hessian_map(self._objective, piece)

    def _multiply(self, block: Tensor) -> Tensor:
        return super()._multiply(block) if self._products is None else self._products(block)


class GaussNewtonOperator(StreamedOperator):
    """G = 1/N Σ Jᵀ(∂²ℓ/∂f²)J, the Gauss–Newton part of the Hessian (Schraudolph 2002).

    The outputs f are all tensors that the model returns. For cross-entropy G is the Fisher
    information matrix, which is also called that of type 2 (Martens 2020). Arguments, attributes
    and errors are those of `StreamedOperator`.

    Raises:
        ValueError: also if the loss reads something else of the model than the tensors it returns.
    """

    def _map(self, piece: Batch) -> Callable[[Tensor], Tensor]:
        return gauss_newton_map(self._objective, piece)
