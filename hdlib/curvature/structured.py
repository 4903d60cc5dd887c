"""The exact Hessian of a recognised stack, chunk by chunk: what it costs, and what it takes.

With p the parameters of a layer, O its outputs, K its columns, t its positions, C the classes, all
costs are products of two numbers for one sample, and the layers i ≤ j run over all pairs.

*From the structure* (`hdlib.curvature.piecewise`)

    pull back                 C · Σ pt
    linear i, j               pᵢpⱼ + C OᵢOⱼ      (read-out with itself: p²/2 + CK²)
    convolutions, with q = Σp of them   Cq²/2 + C · Σ pt
    convolutions, linear j    C Oⱼq + pⱼq
    residual of source i      p (of a convolution) or O (of a linear layer) · Σ_{j>i} 2 pⱼtⱼ, + pᵢpⱼ

*By products* (`hdlib.curvature.products`) the rows of layer i are pᵢ products with the Hessian, each
5 · Σ_{j≥i} pⱼtⱼ: a tangent, two cotangents and two gradients of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from torch import Tensor

from hdlib.curvature.data import split
from hdlib.curvature.layers import Affine, Conv, Layer, Linear
from hdlib.curvature.losses import IGNORED, OutputDerivatives, cross_entropy
from hdlib.curvature.piecewise import (
    FLOATS,
    GaussNewtonSum,
    ResidualSum,
    hidden_pairs,
    pull_back,
    readout,
    tangents_per_sample,
)

SAMPLES = 128
CHUNK_FLOATS = 2**24
"""Values that the temporary arrays of a chunk of samples hold, if one sample does not hold more."""


def fill_from_structure(
    layers: list[Layer],
    derivatives: Callable[[Tensor, Tensor], OutputDerivatives],
    stream: Iterable[tuple[Tensor, Tensor]],
    gauss_newton: Tensor,
    residual: Tensor | None,
) -> int:
    """Add the parts of the Hessian, summed over all samples, to the lower triangles of matrices.

    Args:
        layers: by `hdlib.curvature.layers.piecewise_linear`.
        derivatives: of the loss, by `hdlib.curvature.losses.output_derivatives`.
        stream: of inputs and targets; targets that cross-entropy ignores are left out.
        gauss_newton: (P, P) zeros.
        residual: the same, or the same matrix for the sum of both parts, or None.

    Returns:
        How many samples counted.

    Raises:
        ValueError: if targets do not fit the outputs.
    """
    curved = GaussNewtonSum(layers, gauss_newton)
    bent = None if residual is None else ResidualSum(layers, residual)
    samples = 0
    for x, y in split(stream, _chunk(layers)):
        if derivatives is cross_entropy and y.ndim == 1 and not y.is_floating_point():
            x, y = x[y != IGNORED], y[y != IGNORED]
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
        samples += len(x)
    curved.finish()
    if bent is not None:
        bent.finish()
    return samples


def structured_memory(layers: list[Layer], *, residual: bool) -> int:
    """Bytes that `fill_from_structure` takes beside its matrices, at most.

    Args:
        layers: after a forward pass of any sample.
        residual: whether there is one.
    """
    last = readout(layers)
    sums = 0 if last is None else last.outputs * last.columns**2
    sums += sum(earlier.size * later.size for earlier, later in hidden_pairs(layers))
    chunk = _chunk(layers) * _floats_per_sample(layers)
    tangents = 0
    if residual:
        affine = [layer for layer in layers if isinstance(layer, Affine)]
        for index, source in enumerate(affine[:-1]):
            for later in affine[index + 1 :]:
                shared = source.outputs if later is affine[index + 1] and isinstance(source, Conv) else 1
                sums += source.size * later.outputs * later.fan_in // shared
        tangents = 4 * max(FLOATS, tangents_per_sample(layers))
    return 8 * (sums + chunk + max(FLOATS, tangents))


def _chunk(layers: list[Layer]) -> int:
    """Samples at a time."""
    return min(SAMPLES, max(1, CHUNK_FLOATS // _floats_per_sample(layers)))


def _floats_per_sample(layers: list[Layer]) -> int:
    """Values in the temporary arrays of one sample, those of the residual left out."""
    classes = prod(layers[-1].image)
    last = readout(layers)
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    convs = [layer for layer in affine if isinstance(layer, Conv)]
    linears = [layer for layer in affine if isinstance(layer, Linear)]
    state = sum(3 * prod(layer.image) for layer in layers)
    state += sum(conv.columns * prod(conv.positions) for conv in convs)
    inside = [layer for layer in layers[layers.index(affine[0]) :] if layer is not last]
    pulled = (classes + 1) * sum(prod(layer.image) for layer in inside if layer in affine)
    pulling = 3 * (classes + 1) * max((prod(layer.image) for layer in inside), default=0)
    adding = 0
    if convs:
        q = sum(conv.size for conv in convs)
        pulled += classes**2
        pulling += 3 * classes**2
        adding = classes * (q + max(conv.size for conv in convs))
        adding += max((layer.outputs * q for layer in linears), default=0)
    hidden = [layer for layer in linears if layer is not last]
    products = 2 * classes * sum(layer.outputs for layer in hidden)
    products += max((i.outputs * j.outputs for i, j in hidden_pairs(layers)), default=0)
    products = max(products, 2 * last.size if last is not None else 0)
    return state + pulled + max(pulling, adding, products)


def worthwhile(layers: list[Layer], *, residual: bool) -> bool:
    return True
