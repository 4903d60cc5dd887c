"""Memory that the sums over a stack take, and how many samples at a time keep it small."""

from __future__ import annotations

from math import prod

from hdlib.curvature.structure.stacks.affine import Affine, Conv, Linear
from hdlib.curvature.structure.stacks.blocks import FLOATS, hidden_pairs
from hdlib.curvature.structure.stacks.layers import Layer
from hdlib.curvature.structure.stacks.pull import readout
from hdlib.curvature.structure.stacks.residual import residual_samples, tangents_per_sample

SAMPLES = 128
TANGENTS = 4
"""Arrays of tangents at a time: as they are, unfolded, and pushed through a layer."""
OVERHEAD = 64_000_000
"""Bytes that the allocator and BLAS keep, as measured."""
CHUNK_FLOATS = 2**23
"""Values that the temporary arrays of a chunk of samples hold, if one sample does not hold more."""


def structured_memory(layers: list[Layer], *, residual: bool) -> int:
    """Bytes that `fill_from_structure` takes beside its matrices.

    Args:
        layers: layers after a forward pass of any sample.
        residual: whether the residual is summed, too.
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
