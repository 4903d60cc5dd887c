"""The exact Hessian of a recognised stack, chunk by chunk: what it takes, and whether it pays.

Estimated in multiplications for one sample, with p the parameters of a layer, O its outputs, K its
columns, t its positions, z its activations, C the classes, and q = Σp over convolutions:

*From the structure* (`hdlib.curvature.piecewise`)

    pull back                      C Σ (pt + 30 z)
    linear layers i ≤ j            Σ pᵢpⱼ + C OᵢOⱼ;  p²/2 + Kp for the read-out with itself
    convolutions                   C q²/2 + C Σ pt + 30 C²
    convolutions, linear j         q Σ (C Oⱼ + pⱼ)
    residual, i < j                Σ 2 oᵢ pⱼtⱼ + pᵢpⱼ for linear layers i; o is O for these, else p

*By products* (`hdlib.curvature.products`) pᵢ products for layer i, each of which moves a tangent,
two cotangents and two gradients through it and the layers after it:

    Σᵢ pᵢ Σ_{j ≥ i} (5 pⱼtⱼ + 150 zⱼ)

What passes an activation one by one is bound by memory, not by multiplications: 30 and 150 are
measured, and small networks by products are all of this kind. Both grow with the samples alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from torch import Tensor

from hdlib.curvature.layers import Affine, Conv, Layer, Linear
from hdlib.curvature.losses import IGNORED, NOTHING, OutputDerivatives, cross_entropy
from hdlib.curvature.piecewise import (
    FLOATS,
    GaussNewtonSum,
    ResidualSum,
    hidden_pairs,
    pull_back,
    readout,
    residual_samples,
    tangents_per_sample,
)

SAMPLES = 128
TANGENTS = 4
"""Arrays of tangents at a time: as they are, unfolded, and pushed through a layer."""
PULLED, DIFFERENTIATED = 30, 150
"""Multiplications in the time of passing one activation back, and of differentiating it twice."""
OVERHEAD = 64_000_000
"""Bytes that the allocator and BLAS keep, as measured."""
CHUNK_FLOATS = 2**23
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
        stream: of inputs and targets, of at most `chunk` samples each; targets that cross-entropy
            ignores are left out.
        gauss_newton: (P, P) zeros.
        residual: (P, P) zeros, or None; one matrix given twice gets the sum of both parts.

    Returns:
        How many samples counted.

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


def structured_memory(layers: list[Layer], *, residual: bool) -> int:
    """Bytes that `fill_from_structure` takes beside its matrices.

    Args:
        layers: after a forward pass of any sample.
        residual: whether there is one.
    """
    last = readout(layers)
    samples = chunk(layers)
    outer = [i.columns * j.columns for i, j in hidden_pairs(layers)]
    sums = sum(i.size * j.size for i, j in hidden_pairs(layers))
    if last is not None:
        outer.append(last.columns**2)
        sums += last.columns * last.size
    piece = min(FLOATS, samples * max(outer, default=0))
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    if residual and len(affine) > 1:
        for index, source in enumerate(affine[:-1]):
            following, *later = affine[index + 1 :]
            # Next to the source only the weights in one channel each are kept.
            sums += source.columns * following.outputs * following.fan_in
            sums += source.size * sum(layer.outputs * layer.fan_in for layer in later)
        tangents = tangents_per_sample(layers) * min(samples, residual_samples(layers))
        piece = max(piece, TANGENTS * tangents)
    return 8 * (sums + samples * _floats_per_sample(layers) + piece) + OVERHEAD


def chunk(layers: list[Layer]) -> int:
    """How many samples at a time keep the temporary arrays small."""
    return min(SAMPLES, max(1, CHUNK_FLOATS // _floats_per_sample(layers)))


def _floats_per_sample(layers: list[Layer]) -> int:
    """Values in the temporary arrays of one sample, but for outer products and tangents."""
    classes = prod(layers[-1].image)
    last = readout(layers)
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    convs = [layer for layer in affine if isinstance(layer, Conv)]
    hidden = [layer for layer in affine if isinstance(layer, Linear) and layer is not last]
    size = {layer: prod(layer.image) for layer in layers}
    kept = sum(3 * size[layer] for layer in layers)
    kept += sum(conv.columns * prod(conv.positions) for conv in convs)
    kept += (classes + 1) * sum(size[layer] for layer in affine if layer is not last)
    pulled = [layer for layer in layers[layers.index(affine[0]) + 1 :] if layer is not last]
    pulling = (classes + 1) * max(
        (2 * size[layer] + prod(layer.shape) for layer in pulled), default=0
    )
    adding = 2 * classes * sum(layer.outputs for layer in hidden)
    adding += max((i.outputs * j.outputs for i, j in hidden_pairs(layers)), default=0)
    if last is not None:
        adding = max(adding, 2 * last.size)
    if convs:
        rows = sum(conv.size for conv in convs)
        linears = [layer.outputs for layer in affine if isinstance(layer, Linear)]
        moved = max([*linears, *(classes * conv.size // rows for conv in convs)])
        kept += classes**2
        adding = max(adding, rows * (classes + moved))
        pulling = max(pulling, 2 * classes**2)
    return kept + max(pulling, adding)


def worthwhile(layers: list[Layer], *, residual: bool) -> bool:
    """Whether the structure is estimated to cost less than products with all basis vectors."""
    return structured_cost(layers, residual=residual) < product_cost(layers)


def structured_cost(layers: list[Layer], *, residual: bool) -> int:
    """Multiplications for one sample from the structure."""
    classes = prod(layers[-1].image)
    last = readout(layers)
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    convs = [layer for layer in affine if isinstance(layer, Conv)]
    rows = sum(layer.size for layer in convs)
    cost = 0 if last is None else last.size**2 // 2 + last.columns * last.size
    for earlier, later in hidden_pairs(layers):
        cost += earlier.size * later.size + classes * earlier.outputs * later.outputs
    pulled = [layer for layer in layers[layers.index(affine[0]) :] if layer is not last]
    cost += classes * sum(_forward(layer) + PULLED * prod(layer.image) for layer in pulled)
    if convs:
        cost += classes * (PULLED * classes + rows**2 // 2 + sum(map(_forward, convs)))
        linears = [layer for layer in affine if isinstance(layer, Linear)]
        cost += rows * sum(classes * layer.outputs + layer.size for layer in linears)
    if residual:
        for index, source in enumerate(affine):
            pushed = source.size if isinstance(source, Conv) else source.outputs
            for later in affine[index + 1 :]:
                cost += 2 * pushed * _forward(later)
                cost += source.size * later.size if isinstance(source, Linear) else 0
    return cost


def product_cost(layers: list[Layer]) -> int:
    """Multiplications for one sample by products with the Hessian."""
    return sum(
        source.size
        * sum(5 * _forward(later) + DIFFERENTIATED * prod(later.image) for later in layers[index:])
        for index, source in enumerate(layers)
        if isinstance(source, Affine)
    )


def _forward(layer: Layer) -> int:
    """Multiplications of a forward pass."""
    if not isinstance(layer, Affine):
        return 0
    return layer.size * (prod(layer.positions) if isinstance(layer, Conv) else 1)
