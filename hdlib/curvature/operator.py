"""The Hessian and its relatives as operators: their products with blocks of vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hdlib.curvature.factored import FactoredProducts, is_factored
from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.products import gauss_newton_map, hessian_map
from hdlib.curvature.streamed import StreamedOperator
from hdlib.models.transformer import ModularTransformer


class HessianOperator(StreamedOperator):
    """H = ∂²L/∂θ² of the mean loss L over all samples of ``data``, as ``operator @ block``.

    Hv is the derivative of ⟨∇L, v⟩ (Pearlmutter 1994, in reverse mode). The gradient of a piece of
    the data is linearised once for all vectors of a block. For a `ModularTransformer` under
    cross-entropy it is linearised once for all products (`hdlib.curvature.factored`), the same
    function up to rounding. Arguments, attributes and errors are those of `StreamedOperator`.

    Example:
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> operator = HessianOperator(model, torch.nn.MSELoss(), (x, torch.zeros(2, 1)))
        >>> (2 * operator) @ torch.eye(2, dtype=torch.float64)
        tensor([[2., 0.],
                [0., 8.]], dtype=torch.float64)
    """

    def _take(self, data: Data) -> None:
        given, loss = self._objective.given, self._objective.loss_given
        names = list(self._objective.parameters)
        self._factored = None
        if not is_factored(self._objective.model, loss):
            super()._take(data)
            return
        # What does not depend on the direction is computed in float64 whatever the type.
        exact = Objective(given, loss, parameters=names)
        assert is_factored(exact.model, loss)
        batches = list(exact.batches(data))
        if not all(_are_pairs(exact.model, batch) for batch in batches):
            super()._take(batches)
            return
        cast = [batch.to(self.device, torch.float64) for batch in batches]
        tokens = torch.cat([batch.args[0] for batch in cast])
        targets = torch.cat([batch.targets for batch in cast])
        self._factored = FactoredProducts(exact.model, tokens, targets, dtype=self.dtype)

    def _map(self, piece: Batch) -> Callable[[Tensor], Tensor]:
        return hessian_map(self._objective, piece)

    def _multiply(self, block: Tensor) -> Tensor:
        return super()._multiply(block) if self._factored is None else self._factored(block)


def _are_pairs(model: ModularTransformer, batch: Batch) -> bool:
    """Whether a batch is tokens (n, 3) and classes (n,) that all count."""
    if len(batch.args) != 1 or batch.kwargs:
        return False
    tokens, targets = batch.args[0], batch.targets
    return (
        all(isinstance(t, Tensor) and t.dtype == torch.int64 for t in (tokens, targets))
        and tokens.ndim == 2
        and targets.ndim == 1
        and 0 <= int(targets.min()) <= int(targets.max()) < len(model.unembedding)
    )


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
