"""Exact Hessians of piecewise-linear networks from their structure.

Where every layer is affine or piecewise linear, the outputs f of a sample are linear in the
parameters of each layer, and piecewise polynomial in all of them. With J = ∂f/∂θ for each sample,

    H = 1/N Σₙ Jᵀ (∂²ℓ/∂f²) J  +  R,      R = 1/N Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ²,

the Gauss–Newton part and the residual (Schraudolph 2002). R has no block within a layer. Between
layers i < j it is Σₙ δⱼ ⊗ ∂aⱼ/∂Wᵢ: the back-propagated error δⱼ at layer j times the derivative of
layer j's input with respect to layer i's weights.

With M = ∂f/∂z pulled back to the pre-activation z of a layer (C × O) and a its input, a linear
layer has J = M ⊗ a, so that its blocks need no row of the Jacobian (Botev et al. 2017, before they
approximate it):

    linear i ≤ j:          Σₙ (Mᵢᵀ (∂²ℓ/∂f²) Mⱼ) ⊗ (aᵢaⱼᵀ)

For a linear layer that gives the outputs themselves M is the identity, and where ∂²ℓ/∂f² is
diag(d) − ddᵀ/s its own block is a product of the rows d ⊗ a, one a sample, but for the blocks of
one class each: many classes cost nothing more. Convolutions take a factor SSᵀ = ∂²ℓ/∂f² (C × R),
which makes their part one symmetric rank-k product of the rows SᵀJ, and

    convolution, linear j: Σₙ ((SᵀJ)ᵀ SᵀMⱼ) ⊗ aⱼ.

Where a block lies in the matrix as it is computed it is added there; else it has a sum of its own,
which is placed, and freed, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.curvature.layers import Affine, Conv, Layer, Linear
from hdlib.curvature.losses import OutputDerivatives
from hdlib.curvature.rank_k import add_rank_k

FLOATS = 2**21
"""Values in a temporary array: small enough to stay near the processor and be used again."""


def readout(layers: list[Layer]) -> Linear | None:
    """The linear layer whose outputs are those of the network, if it ends in one."""
    return layers[-1] if isinstance(layers[-1], Linear) else None


class GaussNewtonSum:
    """Σₙ Jᵀ(∂²ℓ/∂f²)J over the samples added.

    Args:
        layers: of the network.
        matrix: (P, P), to whose lower triangle it is added.
    """

    def __init__(self, layers: list[Layer], matrix: Tensor) -> None:
        self.matrix = matrix
        self.convs = [layer for layer in layers if isinstance(layer, Conv)]
        self.readout = readout(layers)
        self.linears = [layer for layer in layers if isinstance(layer, Linear)]
        self.hidden = [layer for layer in self.linears if layer is not self.readout]
        self._sums = {
            (earlier, later): matrix.new_zeros(
                earlier.columns, later.columns, earlier.outputs * later.outputs
            )
            for earlier, later in hidden_pairs(layers)
        }
        if self.readout is not None:
            columns, classes = self.readout.columns, self.readout.outputs
            self._own = matrix.new_zeros(columns, columns, classes)

    def add(
        self, pulled: Pulled, patches: dict[Affine, Tensor], derivatives: OutputDerivatives
    ) -> None:
        """Add samples, with a = ``patches``."""
        if self.convs:
            self._add_convs(pulled, patches)
        curved = {layer: derivatives.times(pulled.jacobians[layer]) for layer in self.hidden}
        for (earlier, later), total in self._sums.items():
            if later is self.readout:
                inner = curved[earlier].mT
            else:
                inner = pulled.jacobians[earlier].mT @ curved[later]
            _add_outer(total, patches[earlier], patches[later], inner.flatten(1))
        if self.readout is not None:
            self._add_readout(self.readout, patches[self.readout], derivatives)

    def _add_convs(self, pulled: Pulled, patches: dict[Affine, Tensor]) -> None:
        samples, rank = pulled.factors[self.convs[0]].shape[:2]
        size = sum(conv.size for conv in self.convs)
        rows = self.matrix.new_empty(samples, rank, size)
        for conv in self.convs:
            product = pulled.factors[conv].flatten(1, 2) @ patches[conv].mT
            product = product.unflatten(1, (rank, conv.outputs))
            weights = rows[:, :, conv.weights].unflatten(2, (conv.outputs, conv.fan_in))
            weights.copy_(product[..., : conv.fan_in])
            if conv.has_bias:
                rows[:, :, conv.biases].copy_(product[..., conv.fan_in])
        add_rank_k(self.matrix[:size, :size], rows.flatten(0, 1))
        for later in self.linears:
            if later is self.readout:
                moved = pulled.factor @ rows
            else:
                moved = (pulled.factor.mT @ pulled.jacobians[later]).mT @ rows
            block = self.matrix[later.weights, :size].unflatten(0, (later.outputs, later.fan_in))
            for output in range(later.outputs):
                block[output].addmm_(later.input.T, moved[:, output])
            if later.has_bias:
                self.matrix[later.biases, :size] += moved.sum(0)

    def _add_readout(self, layer: Linear, patches: Tensor, derivatives: OutputDerivatives) -> None:
        """Add the read-out's own block, but for its blocks of one class each, summed apart."""
        _add_outer(self._own, patches, patches, derivatives.diagonal())
        if derivatives.coupled:
            d = derivatives.weights / derivatives.total.sqrt()
            rows = (d[:, :, None] * layer.input[:, None]).flatten(1)
            own = slice(layer.start, layer.start + layer.size)
            rows = torch.cat([rows, d], 1) if layer.has_bias else rows
            add_rank_k(self.matrix[own, own], rows, scale=-1)

    def finish(self) -> None:
        """Put what was summed apart into the matrix; nothing may be added afterwards."""
        while self._sums:
            (earlier, later), total = self._sums.popitem()
            block = total.unflatten(2, (earlier.outputs, later.outputs))
            place(self.matrix, earlier, later, block.permute(2, 0, 3, 1))
        if self.readout is not None:
            layer, own, fan_in = self.readout, self._own, self.readout.fan_in
            square = (layer.outputs, fan_in)
            block = self.matrix[layer.weights, layer.weights]
            block = block.unflatten(0, square).unflatten(2, square)
            block.diagonal(dim1=0, dim2=2).copy_(own[:fan_in, :fan_in])
            if layer.has_bias:
                block = self.matrix[layer.biases, layer.weights].unflatten(1, square)
                block.diagonal(dim1=0, dim2=1).copy_(own[fan_in, :fan_in])
                block = self.matrix[layer.biases, layer.biases]
                block.diagonal().copy_(own[fan_in, fan_in])


class ResidualSum:
    """Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ² over the samples added, by blocks of layers.

    Args:
        layers: after a forward pass of any sample, which shows the shapes.
        matrix: (P, P), to whose lower triangle it is added at the end.
    """

    def __init__(self, layers: list[Layer], matrix: Tensor) -> None:
        self.layers = layers
        self.matrix = matrix
        self.affine = [layer for layer in layers if isinstance(layer, Affine)]
        self._sums: dict[tuple[Affine, Affine], Tensor] = {}
        self._piece = residual_samples(layers)

    def add(self, errors: dict[Affine, Tensor], patches: dict[Affine, Tensor]) -> None:
        """Add the samples of the last forward pass, with δ (n, O[, positions]) and A."""
        for start in range(0, len(patches[self.affine[0]]), self._piece):
            samples = slice(start, start + self._piece)
            error = {layer: value[samples] for layer, value in errors.items()}
            for source in self.affine[:-1]:
                if not source.size:
                    continue
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

    def finish(self) -> None:
        """Put the sums into the matrix; nothing may be added afterwards."""
        while self._sums:
            (source, layer), total = self._sums.popitem()
            next_layer = self.affine[self.affine.index(source) + 1]
            k, o, m = source.columns, source.outputs, layer.outputs
            if isinstance(layer, Conv):
                # (c, kernel, k, m) with c = o next to the source, (c, kernel, k · o, m) beyond it.
                channels, kernel = layer.channels, layer.fan_in // layer.channels
                if layer is next_layer:
                    block = total.view(channels, kernel, k, m).permute(0, 2, 3, 1)
                else:
                    block = total.view(channels, kernel, k, o, m).permute(3, 2, 4, 0, 1).flatten(3)
            else:
                spread = layer.fan_in // (o if layer is next_layer else 1)
                if isinstance(source, Conv):
                    block = total.view(k, o, spread, m).permute(1, 0, 3, 2)
                else:
                    block = total.view(k, m, o, spread).permute(2, 0, 1, 3)
            place(self.matrix, source, layer, block, one_channel=layer is next_layer)


class Pulled(NamedTuple):
    """Derivatives pulled back to pre-activations, for n samples.

    Attributes:
        jacobians: M (n, C, O) of each linear layer but the read-out.
        factors: SᵀM (n, R, O, positions) of each convolution.
        errors: δ (n, O[, positions]), the derivative of the loss.
        factor: S (n, C, R) where there are convolutions.
    """

    jacobians: dict[Affine, Tensor]
    factors: dict[Affine, Tensor]
    errors: dict[Affine, Tensor]
    factor: Tensor


def pull_back(layers: list[Layer], derivatives: OutputDerivatives) -> Pulled:
    """Pull back the derivatives of the samples that went forward through the layers last."""
    gradient = derivatives.gradient
    samples, classes = gradient.shape
    affine = [layer for layer in layers if isinstance(layer, Affine)]
    last = readout(layers)
    factor = derivatives.factor() if isinstance(affine[0], Conv) else gradient.new_empty(0)
    pulled = Pulled({}, {}, {}, factor)
    if last is None:
        jacobian, error = gradient.new_ones(classes).diag(), gradient
    else:
        layers = layers[:-1]
        pulled.errors[last] = gradient
        jacobian, error = last.weight, gradient @ last.weight
    if last is affine[0]:
        return pulled
    cotangents = torch.cat([jacobian.expand(samples, -1, -1), error[:, None]], 1)
    linear = [index for index, layer in enumerate(layers) if isinstance(layer, Linear)]
    before = linear[0] if linear else len(layers)
    for layer in reversed(layers[before:]):
        if isinstance(layer, Linear):
            pulled.jacobians[layer], pulled.errors[layer] = cotangents[:, :-1], cotangents[:, -1]
        if layer is affine[0]:
            return pulled
        cotangents = layer.pull(cotangents)
    cotangents = torch.cat([factor.mT @ cotangents[:, :-1], cotangents[:, -1:]], 1)
    for layer in reversed(layers[:before]):
        if isinstance(layer, Conv):
            flat = cotangents.flatten(3)
            pulled.factors[layer], pulled.errors[layer] = flat[:, :-1], flat[:, -1]
        if layer is affine[0]:
            break
        cotangents = layer.pull(cotangents)
    return pulled


def hidden_pairs(layers: list[Layer]) -> list[tuple[Linear, Linear]]:
    """Linear layers i ≤ j whose blocks are summed apart: all but the read-out with itself."""
    linears = [layer for layer in layers if isinstance(layer, Linear)]
    pairs = combinations_with_replacement(linears, 2)
    last = readout(layers)
    return [(earlier, later) for earlier, later in pairs if earlier is not last or last is None]


def residual_samples(layers: list[Layer]) -> int:
    """Samples at a time in a `ResidualSum`."""
    return max(1, FLOATS // tangents_per_sample(layers))


def tangents_per_sample(layers: list[Layer]) -> int:
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
            if isinstance(source, Linear) and isinstance(layer, Linear):
                largest = max(largest, source.columns * layer.outputs)
            if isinstance(layer, Affine) and not mixed:
                tangents *= source.outputs
                mixed = True
    return largest


def place(
    matrix: Tensor, earlier: Affine, later: Affine, block: Tensor, *, one_channel: bool = False
) -> None:
    """Add a block of layers i ≤ j to the lower triangle.

    Args:
        matrix: (P, P), changed in place.
        earlier: layer i.
        later: layer j.
        block: (Oᵢ, columnsᵢ, Oⱼ, columnsⱼ or fan_inⱼ); with ``one_channel`` the last axis is only
            the part of fan_inⱼ in input channel o at place o of the first: weight (o, k) moves
            output channel o alone.
        one_channel: whether it is.
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


def _add_outer(total: Tensor, left: Tensor, right: Tensor, inner: Tensor) -> None:
    """Add Σₙ left ⊗ right ⊗ inner to (K, K', O); outer products are made piece by piece."""
    step = max(1, FLOATS // max(1, right.numel()))
    for start in range(0, len(total), step):
        piece = slice(start, start + step)
        # Unnamed: each outer product is freed before the next one is made.
        total[piece].flatten(0, 1).addmm_(
            (left[:, piece, None] * right[:, None]).flatten(1).T, inner
        )


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
