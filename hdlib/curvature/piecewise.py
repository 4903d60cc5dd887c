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

RESIDUAL_FLOATS = 2**22
"""Values in an array of tangents: small enough to stay near the processor and be used again."""

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
            products = [factors[conv].flatten(1, 2) @ patches[conv].mT for conv in self.convs]
            rank = factors[self.convs[0]].shape[1]
            rows = torch.cat([product.view(len(product), rank, -1) for product in products], 2)
            self._conv_sum.add(rows.flatten(0, 1))
        for index, later in enumerate(self.linears):
            b, a = factors[later], patches[later]
            if rows is not None:
                _add_product(self._sums, (None, later), a, (b.mT @ rows).flatten(1))
            for earlier in self.linears[: index + 1]:
                outer = (patches[earlier][:, :, None] * a[:, None]).flatten(1)
                inner = (factors[earlier].mT @ b).flatten(1)
                _add_product(self._sums, (earlier, later), outer, inner)

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
    """Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ² over the samples added, by blocks of layers.

    Args:
        layers: after a forward pass of any sample, which shows the shapes.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.affine = [layer for layer in layers if isinstance(layer, Affine)]
        self._sums: dict[tuple[Affine, Affine], Tensor] = {}
        self._piece = max(1, RESIDUAL_FLOATS // _floats_per_sample(layers))

    def add(self, errors: dict[Affine, Tensor], patches: dict[Affine, Tensor]) -> None:
        """Add the samples of the last forward pass, with δ (n, O[, positions]) and A."""
        for start in range(0, len(patches[self.affine[0]]), self._piece):
            samples = slice(start, start + self._piece)
            error = {layer: value[samples] for layer, value in errors.items()}
            for source in self.affine[:-1]:
                self._add_source(source, patches[source][samples], error, samples)

    def _add_source(
        self, source: Affine, patches: Tensor, errors: dict[Affine, Tensor], samples: slice
    ) -> None:
        """Add the blocks of ``source`` with every later layer.

        Tangents of activations along the weights of the source are pushed forward. Weight (o, k)
        moves output channel o alone, until a later affine layer mixes channels; so up to that layer
        one array (n, k, *activation) holds the tangents of all o, and beyond it they are
        (n, k · o, *activation). For a linear source a[k] is a common factor and left out: k has
        length 1.
        """
        last = self.affine[-1]
        mixed = False
        if isinstance(source, Conv):
            tangents = patches[:, :, None].expand(-1, -1, source.outputs, -1)
            tangents = tangents.unflatten(3, source.positions)
        else:
            tangents = patches.new_ones(len(patches), 1, source.outputs)
        for layer in self.layers[self.layers.index(source) + 1 :]:
            unfolded = None
            if isinstance(layer, Conv):
                unfolded = layer.unfold_channels(tangents)
                value = layer.weight_gradient(unfolded, errors[layer])
                _add_to(self._sums, (source, layer), value)
            elif isinstance(layer, Linear):
                left, right = tangents.flatten(1), errors[layer]
                if isinstance(source, Linear):
                    left, right = (patches[:, :, None] * right[:, None]).flatten(1), left
                _add_product(self._sums, (source, layer), left, right)
            if layer is last:
                return
            if mixed or not isinstance(layer, (Conv, Linear)):
                tangents = layer.push(tangents, samples)
                continue
            mixed = True
            if isinstance(layer, Linear):
                tangents = layer.push_channels(tangents, source.outputs)
            elif unfolded is not None:
                tangents = layer.push_unfolded(unfolded, len(patches))

    def blocks(self) -> Iterator[Block]:
        """Every block above the diagonal; the later layer's columns leave out its bias."""
        for (source, layer), total in self._sums.items():
            next_layer = self.affine[self.affine.index(source) + 1]
            k, o, m = source.columns, source.outputs, layer.outputs
            if isinstance(layer, Conv):
                # (c, kernel, k, m) with c = o next to the source, (c, kernel, k · o, m) beyond it.
                channels = layer.channels
                if layer is next_layer:
                    block = total.view(channels, -1, k, m).permute(0, 2, 3, 1)
                else:
                    block = total.view(channels, -1, k, o, m).permute(3, 2, 4, 0, 1).flatten(3)
            elif isinstance(source, Conv):
                block = total.view(k, o, -1, m).permute(1, 0, 3, 2)
            else:
                block = total.view(k, m, o, -1).permute(2, 0, 1, 3)
            if layer is next_layer:
                block = _one_channel_each(block)
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


def _floats_per_sample(layers: list[Layer]) -> int:
    """Values in the largest array of tangents of one sample."""
    largest = 1
    for index, source in enumerate(layers):
        if not isinstance(source, Affine):
            continue
        tangents = source.columns if isinstance(source, Conv) else 1
        mixed = False
        for layer in layers[index + 1 :]:
            spread = prod(layer.shape)
            if isinstance(layer, Conv):
                spread = max(spread, layer.fan_in * prod(layer.positions))
            largest = max(largest, tangents * spread)
            if isinstance(layer, Affine) and not mixed:
                tangents *= source.outputs
                mixed = True
    return largest


def _one_channel_each(block: Tensor) -> Tensor:
    """Put (O, k, m, s) at (o, k, m, c = o, s) of zeros: weight (o, k) moves channel o alone."""
    full = block.new_zeros(*block.shape[:3], len(block), block.shape[3])
    full.diagonal(dim1=0, dim2=3).copy_(block.permute(1, 2, 3, 0))
    return full.flatten(3)


def _add_to(sums: dict, key: tuple, value: Tensor) -> None:
    if key in sums:
        sums[key] += value
    else:
        sums[key] = value


def _add_product(sums: dict, key: tuple, left: Tensor, right: Tensor) -> None:
    """Add leftᵀ right, in place once there is a sum."""
    if key in sums:
        sums[key].addmm_(left.T, right)
    else:
        sums[key] = left.T @ right
