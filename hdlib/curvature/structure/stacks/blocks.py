"""Blocks of a matrix that belong to two layers: their sums, and their places."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement

from torch import Tensor

from hdlib.curvature.structure.stacks.affine import Affine, Linear
from hdlib.curvature.structure.stacks.layers import Layer
from hdlib.curvature.structure.stacks.pull import readout

FLOATS = 2**21
"""Values in a temporary array: small enough to stay near the processor and be used again."""


def hidden_pairs(layers: list[Layer]) -> list[tuple[Linear, Linear]]:
    """Linear layers i ≤ j whose blocks are summed apart: all but the read-out with itself."""
    linears = [layer for layer in layers if isinstance(layer, Linear)]
    pairs = combinations_with_replacement(linears, 2)
    last = readout(layers)
    return [(earlier, later) for earlier, later in pairs if earlier is not last or last is None]


def place(
    matrix: Tensor, earlier: Affine, later: Affine, block: Tensor, *, one_channel: bool = False
) -> None:
    """Add a block of layers i ≤ j to the lower triangle.

    Args:
        matrix: (P, P) matrix, changed in place.
        earlier: layer i.
        later: layer j.
        block: (Oᵢ, columnsᵢ, Oⱼ, columnsⱼ or fan_inⱼ) values.
        one_channel: whether the block's last axis, at place o of its first, has only the part of
            fan_inⱼ in input channel o: weight (o, k) moves output channel o alone.
    """
    for row, row_columns in _parameters(later, block.shape[3] > later.fan_in):
        for column, column_columns in _parameters(earlier, earlier.has_bias):
            part = block[:, column_columns, :, row_columns].permute(2, 3, 0, 1)
            target = matrix[row, column].unflatten(1, (earlier.outputs, part.shape[3]))
            if one_channel:
                channels = (later.outputs, earlier.outputs, part.shape[1])
                target = target.unflatten(0, channels).diagonal(dim1=1, dim2=3)
                part = part.permute(0, 1, 3, 2)
            else:
                target = target.unflatten(0, (later.outputs, part.shape[1]))
            target += part


def _parameters(layer: Affine, with_bias: bool) -> Iterator[tuple[slice, slice]]:
    """Where a layer's weight, and its bias, lie among all parameters and in a block's columns."""
    yield layer.weights, slice(0, layer.fan_in)
    if with_bias:
        yield layer.biases, slice(layer.fan_in, layer.columns)


def add_outer(total: Tensor, left: Tensor, right: Tensor, inner: Tensor) -> None:
    """Add Σₙ left ⊗ right ⊗ inner to (K, K', O); outer products are made piece by piece."""
    step = max(1, FLOATS // max(1, right.numel()))
    for start in range(0, len(total), step):
        piece = slice(start, start + step)
        # Unnamed: each outer product is freed before the next one is made.
        total[piece].flatten(0, 1).addmm_(
            (left[:, piece, None] * right[:, None]).flatten(1).T, inner
        )
