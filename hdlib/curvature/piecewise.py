"""Exact Hessians of piecewise-linear networks from their structure.

Where every layer is affine or piecewise linear, the outputs f of a sample are linear in the
parameters of each layer, and piecewise polynomial in all of them. With J = ∂f/∂θ for each sample,

    H = 1/N Σₙ Jᵀ (∂²ℓ/∂f²) J  +  R,      R = 1/N Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ²,

the Gauss–Newton part and the residual (Schraudolph 2002). R has no block within a layer. Between
layers i < j it is Σₙ δⱼ ⊗ ∂aⱼ/∂Wᵢ: the back-propagated error δⱼ at layer j times the derivative of
layer j's input with respect to layer i's weights.

With SSᵀ = ∂²ℓ/∂f² (C × R) both parts need one backward pass of R + 1 cotangents. Pulled back to
the pre-activation of layer i they are Bᵢ (n, R, O, positions) and δᵢ (n, O, positions), and the
rows of SᵀJᵢ are Bᵢ times the input patches Aᵢ. Between convolutions the Gauss–Newton part is one
symmetric rank-k product of these rows. A linear layer has one position, so that SᵀJⱼ = Bⱼ ⊗ aⱼ and
its blocks need no row of the Jacobian:

    linear, linear:       Σₙ (BᵢᵀBⱼ) ⊗ (aᵢaⱼᵀ)     (Botev et al. 2017, before they approximate it)
    convolution, linear:  Σₙ ((SᵀJᵢ)ᵀBⱼ) ⊗ aⱼ
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from hdlib.curvature.layers import Affine, Conv, Layer, Linear
from hdlib.curvature.losses import OutputDerivatives
from hdlib.curvature.rank_k import RankK

Block: TypeAlias = tuple[Affine, Affine, Tensor]
"""Layers i ≤ j and their block, (Oᵢ, columnsᵢ, Oⱼ, columnsⱼ or fan_inⱼ)."""


class GaussNewtonSum:
    """Σₙ Jᵀ(∂²ℓ/∂f²)J over the samples added, by blocks of layers."""

    def __init__(self, layers: list[Layer]) -> None:
        self.convs = [layer for layer in layers if isinstance(layer, Conv)]
        self.linears = [layer for layer in layers if isinstance(layer, Linear)]
        affine = [*self.convs, *self.linears]
        rows = sum(conv.size for conv in self.convs)
        self._conv_sum = RankK(rows, affine[0].weight.device)
        self._sums: dict[tuple[Affine | None, Linear], Tensor] = {}

    def add(self, factors: dict[Affine, Tensor], patches: dict[Affine, Tensor]) -> None:
        """Add samples with B = `factors` (n, R, O[, positions]) and A = `patches`."""
        rows = None
        if self.convs:
            products = [factors[conv] @ patches[conv][:, None].mT for conv in self.convs]
            rows = torch.cat([product.flatten(2) for product in products], 2)
            self._conv_sum.add(rows.flatten(0, 1))
        for index, later in enumerate(self.linears):
            b, a = factors[later], patches[later]
            if rows is not None:
                _add_to(self._sums, (None, later), a.T @ (b.mT @ rows).flatten(1))
            for earlier in self.linears[: index + 1]:
                outer = patches[earlier][:, :, None] * a[:, None]
                inner = factors[earlier].mT @ b
                _add_to(self._sums, (earlier, later), outer.flatten(1).T @ inner.flatten(1))

    def blocks(self) -> Iterator[Block]:
        """Every block on and above the diagonal."""
        matrix = self._conv_sum.matrix()
        sizes = [conv.size for conv in self.convs]
        for j, later in enumerate(self.convs):
            for i, earlier in enumerate(self.convs[: j + 1]):
                block = matrix.split(sizes)[i].split(sizes, 1)[j]
                unfolded = block.unflatten(0, (earlier.outputs, earlier.columns))
                yield earlier, later, unfolded.unflatten(2, (later.outputs, later.columns))
        for (earlier, later), total in self._sums.items():
            if earlier is None:
                parts = total.unflatten(1, (later.outputs, -1)).split(sizes, 2)
                for conv, part in zip(self.convs, parts, strict=True):
                    unfolded = part.unflatten(2, (conv.outputs, conv.columns))
                    yield conv, later, unfolded.permute(2, 3, 1, 0)
            else:
                unfolded = total.unflatten(0, (earlier.columns, later.columns))
                unfolded = unfolded.unflatten(2, (earlier.outputs, later.outputs))
                yield earlier, later, unfolded.permute(2, 0, 3, 1)


class ResidualSum:
    """Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ² over the samples added, by blocks of layers."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.affine = [layer for layer in layers if isinstance(layer, Affine)]
        self._sums: dict[tuple[Affine, Affine], Tensor] = {}

    def add(self, errors: dict[Affine, Tensor], patches: dict[Affine, Tensor]) -> None:
        """Add samples with δ = `errors` (n, O[, positions]) and A = `patches`."""
        for source in self.affine[:-1]:
            for layer, tangents in self._input_tangents(source, patches[source]):
                error = errors[layer]
                if isinstance(layer, Conv):
                    value = layer.weight_gradient(tangents.flatten(1, 2), error)
                elif isinstance(source, Conv):
                    value = error.T @ tangents.flatten(1)
                else:
                    outer = patches[source][:, :, None] * error[:, None]
                    value = outer.flatten(1).T @ tangents.flatten(1)
                _add_to(self._sums, (source, layer), value)

    def _input_tangents(self, source: Affine, patches: Tensor) -> Iterator[tuple[Affine, Tensor]]:
        """Tangents of the input of each later affine layer along the weights of ``source``.

        Weight (o, k) moves output channel o alone, until a later affine layer mixes channels; so up
        to that layer one array (n, k, *activation) holds the tangents of all o, and beyond it they
        are (n, k · o, *activation). For a linear source a[k] is a common factor and left out: k
        has length 1.
        """
        later = self.layers[self.layers.index(source) + 1 :]
        last = self.affine[-1]
        mixed = False
        if isinstance(source, Conv):
            tangents = patches[:, :, None].expand(-1, -1, source.outputs, -1)
            tangents = tangents.unflatten(3, source.positions)
        else:
            tangents = patches.new_ones(len(patches), 1, source.outputs)
        for layer in later:
            if not isinstance(layer, (Conv, Linear)):
                tangents = layer.push(tangents)
                continue
            yield layer, tangents
            if layer is last:
                return
            if mixed:
                tangents = layer.push(tangents)
            else:
                tangents = layer.push_channels(tangents, source.outputs)
                mixed = True

    def blocks(self) -> Iterator[Block]:
        """Every block above the diagonal; the later layer's columns leave out its bias."""
        for (source, layer), total in self._sums.items():
            if isinstance(source, Conv):
                block = total.reshape(layer.outputs, source.columns, source.outputs, -1)
                block = block.permute(2, 1, 0, 3)
            else:
                block = total.reshape(source.columns, layer.outputs, source.outputs, -1)
                block = block.permute(2, 0, 1, 3)
            if layer is self.affine[self.affine.index(source) + 1]:
                block = _one_channel_each(block, source.outputs)
            yield source, layer, block


def pull_back(
    layers: list[Layer], derivatives: OutputDerivatives
) -> tuple[dict[Affine, Tensor], dict[Affine, Tensor]]:
    """The factors Bᵢ and errors δᵢ of the samples that went forward through the layers last."""
    rank = derivatives.factor.shape[2]
    cotangents = torch.cat([derivatives.factor.mT, derivatives.gradient[:, None]], 1)
    first = next(layer for layer in layers if isinstance(layer, Affine))
    factors: dict[Affine, Tensor] = {}
    errors: dict[Affine, Tensor] = {}
    for layer in reversed(layers):
        if isinstance(layer, Affine):
            flat = cotangents.flatten(3) if isinstance(layer, Conv) else cotangents
            factors[layer], errors[layer] = flat[:, :rank], flat[:, rank]
        if layer is first:
            break
        cotangents = layer.pull(cotangents)
    return factors, errors


def floats_per_sample(layers: list[Layer]) -> int:
    """A bound on the intermediate values of one sample, once one has gone forward."""
    largest = 1
    for index, layer in enumerate(layers):
        if isinstance(layer, Affine):
            moved = layer.size if isinstance(layer, Conv) else layer.outputs
            widest = max(prod(later.shape) for later in layers[index:])
            largest = max(largest, moved * widest, layer.columns**2)
    return largest


def _one_channel_each(block: Tensor, channels: int) -> Tensor:
    """Put (O, k, m, s) at (o, k, m, c = o, s) of zeros: weight (o, k) moves channel o alone."""
    full = block.new_zeros(*block.shape[:3], channels, block.shape[3])
    full.diagonal(dim1=0, dim2=3).copy_(block.permute(1, 2, 3, 0))
    return full.flatten(3)


def _add_to(sums: dict, key: tuple, value: Tensor) -> None:
    if key in sums:
        sums[key] += value
    else:
        sums[key] = value
