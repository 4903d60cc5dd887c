"""Hessian-vector products of a stack of layers, differentiated by hand."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.nested import map_tensors
from hdlib.curvature.inputs.objective import require_finite
from hdlib.curvature.memory import announce, available
from hdlib.curvature.structure.chain import (
    AffineLink,
    Chain,
    EmbeddingLink,
    InputLink,
    Kept,
    Link,
    ReLULink,
    SmoothLink,
)
from hdlib.curvature.structure.losses import Derivatives, OutputDerivatives
from hdlib.curvature.structure.stacks.affine import Affine, Conv, Embedding, Linear
from hdlib.curvature.structure.stacks.images import (
    ConvLink,
    InputConvLink,
    LayerLink,
    MaxPoolLink,
)
from hdlib.curvature.structure.stacks.layers import Layer, MaxPool, ReLU, Smooth
from hdlib.curvature.structure.stacks.samples import Samples, joined

PIECE, DIRECTIONS = 256, 8
"""Samples, at most, and directions at a time."""
TANGENTS = 2**22
"""Bytes of the tangents of a piece's largest layer, which stay in the processor's cache."""
ARRAYS = 5
"""Of the size of the parameters, for each direction: it in two orders, two sums, and the result."""


@torch.no_grad()
def stack_products(
    layers: Sequence[Layer],
    derivatives: Derivatives,
    batches: Sequence[Batch],
    *,
    dtype: torch.dtype,
) -> StackProducts | None:
    """Products with the Hessian of a stack, where there is room and all data fit it.

    What does not fit is told where the model is called as a whole.

    Args:
        layers: the stack, linearised by `recognised_stack`.
        derivatives: closed form of the loss's derivatives.
        batches: all of the data.
        dtype: type of the vectors.
    """
    data = joined(layers, derivatives, batches)
    if data is None:
        return None
    device, itemsize = data.inputs.device, torch.empty(0, dtype=dtype).itemsize
    floats = sum(prod(layer.shape) + prod(layer.image) for layer in layers)
    size = sum(layer.size for layer in layers if isinstance(layer, (Affine, Embedding)))
    needed = (
        itemsize * (len(data.inputs) * floats + ARRAYS * DIRECTIONS * size) + data.inputs.nbytes
    )
    if needed > available(device) // 2:
        return None
    announce(f"a product by hand over {len(data.inputs)} samples", needed, device)
    with torch.autocast(device.type, enabled=False):
        products = StackProducts(layers, data, derivatives, dtype=dtype)
    return products if products.finite else None


class StackProducts:
    """V ↦ HV for the mean loss of a stack over N samples.

    With a the input of a linear layer, δ the derivative of the loss by its output, and a dot for
    derivatives along v, its part of Hv is Σₙ δ̇aᵀ + δȧᵀ (Pearlmutter 1994). Forward, ȧ moves through
    the layers, each of which adds Ẇa; at the outputs δ̇ = (∂²ℓ/∂f²) ḟ; backward it moves through
    their transposes, each of which adds Ẇᵀδ, and each activation φ adds φ″ȧδ. What does not depend
    on v is computed once, in float64 whatever the type of the tangents, and kept.

    Args:
        layers: the stack, linearised by `recognised_stack`.
        data: samples and their number.
        derivatives: closed form of the loss's derivatives.
        dtype: type of the tangents.

    Attributes:
        finite: whether all derivatives of the loss by the outputs are.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        data: Samples,
        derivatives: Derivatives,
        *,
        dtype: torch.dtype,
    ) -> None:
        self._moved: list[tuple[Affine | Embedding, InputLink]] = []
        before: list[Layer] = []
        links: list[Link] = []
        for layer in layers:
            if isinstance(layer, (Affine, Embedding)):
                link = _moving(layer, first=not self._moved)
                self._moved.append((layer, link))
                links.append(link)
            elif self._moved:
                links.append(_fixed(layer))
            else:
                before.append(layer)
        self._chain = Chain(links)
        self._pieces: list[tuple[Kept, OutputDerivatives]] = []
        self.finite = True
        row = DIRECTIONS * max(prod(layer.image) for layer in layers) * dtype.itemsize
        piece = max(1, min(PIECE, TANGENTS // row))
        for x, y in zip(data.inputs.split(piece), data.targets.split(piece), strict=True):
            saved: Kept = {}
            for layer in before:
                x = layer.forward(x)
            found = derivatives(self._chain.forward(x, saved), y)
            gradient, weights = found.gradient / data.total, found.weights / data.total
            self.finite = self.finite and bool(torch.isfinite(gradient).all())
            self._chain.backward(gradient, saved)
            kept = saved, found._replace(gradient=gradient, weights=weights)
            self._pieces.append(
                map_tensors(lambda t: t.to(dtype) if t.is_floating_point() else t, kept)
            )
        for _, link in self._moved:
            link.to(dtype)

    def __call__(self, block: Tensor) -> Tensor:
        """HV (P, b) of V (P, b)."""
        rows = block.new_empty(block.shape[::-1])
        with torch.autocast(block.device.type, enabled=False):
            for start in range(0, len(rows), DIRECTIONS):
                piece = slice(start, start + DIRECTIONS)
                self._multiply(block.T[piece], rows[piece])
        if torch.isfinite(block.sum()):
            require_finite("second derivatives are", rows.sum())
        return rows.T

    def _multiply(self, directions: Tensor, products: Tensor) -> None:
        """Put Hv into the rows of (k, P) for the rows v of (k, P)."""
        for layer, link in self._moved:
            link.along(*_parts(layer, directions))
        still = directions.new_empty(0)
        for saved, found in self._pieces:
            df = self._chain.tangent(still, saved)
            self._chain.tangent_backward(found.times(df.mT).mT.contiguous(), saved)
        for layer, link in self._moved:
            for part, value in zip(_parts(layer, products), link.derivative(), strict=True):
                if part is not None:
                    part.copy_(value)


def _moving(layer: Affine | Embedding, *, first: bool) -> InputLink:
    """The link of a layer with parameters; of the first the inputs do not move."""
    match layer:
        case Embedding():
            return EmbeddingLink(layer.weight)
        case Conv():
            return (InputConvLink if first else ConvLink)(layer)
        case _:
            return (InputLink if first else AffineLink)(layer.weight.T, layer.bias)


def _fixed(layer: Layer) -> Link:
    """The link of a layer without parameters."""
    match layer:
        case ReLU():
            return ReLULink()
        case Smooth():
            return SmoothLink(layer.module)
        case MaxPool():
            return MaxPoolLink(layer)
        case _:
            return LayerLink(layer)


def _parts(layer: Affine | Embedding, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """A layer's weight, (k, *weight) as its link has it, and its bias (k, out), in (k, P)."""
    weight = rows[:, layer.weights].unflatten(1, layer.weight.shape)
    if isinstance(layer, Embedding):
        return weight, None
    if isinstance(layer, Linear):
        weight = weight.mT
    return weight, rows[:, layer.biases] if layer.has_bias else None
