"""Whether the structure of a stack pays: what its Hessian costs from it, and by products.

Estimated in multiplications for one sample, with p the parameters of a layer, O its outputs, K its
columns, t its positions, z its activations, C the classes, and q = Σp over convolutions:

*From the structure* (`hdlib.curvature.structure.stacks`)

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

from math import prod

from hdlib.curvature.structure.stacks.affine import Affine, Conv, Linear
from hdlib.curvature.structure.stacks.blocks import hidden_pairs
from hdlib.curvature.structure.stacks.layers import Layer
from hdlib.curvature.structure.stacks.pull import readout

PULLED, DIFFERENTIATED = 30, 150
"""Multiplications in the time of passing one activation back, and of differentiating it twice."""


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
