"""The exact Hessian of a recognised stack, piece by piece of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.objective import NOTHING
from hdlib.curvature.structure.engine import Engine, Filling, Products
from hdlib.curvature.structure.losses import IGNORED, Derivatives, cross_entropy
from hdlib.curvature.structure.stacks.affine import Affine, Embedding
from hdlib.curvature.structure.stacks.cost import worthwhile
from hdlib.curvature.structure.stacks.gauss_newton import GaussNewtonSum
from hdlib.curvature.structure.stacks.layers import Layer, Smooth
from hdlib.curvature.structure.stacks.products import stack_products
from hdlib.curvature.structure.stacks.pull import pull_back
from hdlib.curvature.structure.stacks.residual import ResidualSum
from hdlib.curvature.structure.stacks.room import chunk, structured_memory
from hdlib.curvature.structure.stacks.stack import recognised_stack


class StackEngine(Engine):
    """Hessians of a stack of piecewise-linear layers, and products also with smooth activations.

    Args:
        layers: the stack, linearised by `recognised_stack`.
        derivatives: closed form of the loss's derivatives.
    """

    def __init__(self, layers: list[Layer], derivatives: Derivatives) -> None:
        self.layers = layers
        self._derivatives = derivatives

    def filling(self, *, residual: bool) -> Filling | None:
        others = any(isinstance(layer, (Embedding, Smooth)) for layer in self.layers)
        if others or not worthwhile(self.layers, residual=residual):
            return None
        return Filling(
            samples=chunk(self.layers),
            memory=structured_memory(self.layers, residual=residual),
            fill=partial(fill_from_structure, self.layers, self._derivatives),
        )

    def products(self, batches: Sequence[Batch], *, dtype: torch.dtype) -> Products | None:
        return stack_products(self.layers, self._derivatives, batches, dtype=dtype)


def stack_engine(model: nn.Module, derivatives: Derivatives, sample: Tensor) -> StackEngine | None:
    """The engine for a stack, or None where the model is none.

    Args:
        model: copy that is computed with, all of it trained.
        derivatives: closed form of the loss's derivatives.
        sample: (1, *input) tensor in the model's type.
    """
    try:
        layers = recognised_stack(model, sample)
    except (RuntimeError, IndexError):  # told where the model is called as a whole
        return None
    return None if layers is None else StackEngine(layers, derivatives)


def fill_from_structure(
    layers: list[Layer],
    derivatives: Derivatives,
    stream: Iterable[tuple[Tensor, Tensor]],
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> int:
    """Add the parts of the Hessian, summed over all samples, to the lower triangles of matrices.

    Args:
        layers: the stack, linearised by `recognised_stack`.
        derivatives: closed form of the loss's derivatives.
        stream: pairs of inputs and targets, at most `chunk` samples each; targets that
            cross-entropy ignores are left out.
        gauss_newton: (P, P) zeros.
        residual: (P, P) zeros, or None; one matrix given twice gets the sum of both parts.

    Returns:
        Number of samples that count.

    Raises:
        ValueError: if targets do not fit the outputs, or none counts.
    """
    curved = GaussNewtonSum(layers, gauss_newton)
    bent = None if residual is None else ResidualSum(layers, residual)
    samples = 0
    for x, y in stream:
        if derivatives is cross_entropy and y.ndim == 1 and not y.is_floating_point():
            x, y = x[y != IGNORED], y[y != IGNORED]
        samples += len(x)
        if derivatives is cross_entropy and y.ndim == 2 and y.is_floating_point():
            x, y = x[y.any(1)], y[y.any(1)]  # no probabilities: a sample, but no loss
        if not len(x):
            continue
        outputs = x
        for layer in layers:
            outputs = layer.forward(outputs)
        found = derivatives(outputs, y)
        pulled = pull_back(layers, found)
        patches = {layer: layer.patches() for layer in layers if isinstance(layer, Affine)}
        curved.add(pulled, patches, found)
        if bent is not None:
            bent.add(pulled.errors, patches)
    if not samples:
        raise ValueError(NOTHING)
    curved.finish()
    if bent is not None:
        bent.finish()
    return samples
