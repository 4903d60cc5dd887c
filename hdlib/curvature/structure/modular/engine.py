"""The engine of factored transformers: products with the Hessian over all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.structure.engine import Engine, Products
from hdlib.curvature.structure.losses import Derivatives, cross_entropy
from hdlib.curvature.structure.modular.model import FactoredModel, is_factored
from hdlib.curvature.structure.modular.products import FactoredProducts


class ModularEngine(Engine):
    """Products with the Hessian of a factored transformer's mean cross-entropy.

    Args:
        model: float64 transformer, as `is_factored` knows it, all of it trained.
    """

    def __init__(self, model: FactoredModel) -> None:
        self.model = model

    def products(self, batches: Sequence[Batch], *, dtype: torch.dtype) -> Products | None:
        if not all(_are_pairs(self.model, batch) for batch in batches):
            return None
        device = self.model.unembedding.device
        tokens = torch.cat([batch.args[0].to(device) for batch in batches])
        targets = torch.cat([batch.targets.to(device) for batch in batches])
        return FactoredProducts(self.model, tokens, targets, dtype=dtype)


def modular_engine(
    model: nn.Module, derivatives: Derivatives, sample: Tensor
) -> ModularEngine | None:
    """The engine for a factored transformer under cross-entropy, or None for other models.

    Args:
        model: copy that is computed with, all of it trained.
        derivatives: closed form of the loss's derivatives.
        sample: (1, 3) tokens, looked at with the rest of the data.
    """
    del sample
    return ModularEngine(model) if derivatives is cross_entropy and is_factored(model) else None


def _are_pairs(model: FactoredModel, batch: Batch) -> bool:
    """Whether a batch is tokens [a, b, =], (n, 3), and classes (n,) that all count."""
    if len(batch.args) != 1 or batch.kwargs:
        return False
    tokens, targets = batch.args[0], batch.targets
    return (
        all(isinstance(t, Tensor) and t.dtype == torch.int64 for t in (tokens, targets))
        and tokens.shape[1:] == (3,)
        and targets.ndim == 1
        and 0 <= int(tokens[:, :2].min()) <= int(tokens[:, :2].max()) < model.p
        and bool((tokens[:, 2] == model.p).all())
        and 0 <= int(targets.min()) <= int(targets.max()) < len(model.unembedding)
    )
