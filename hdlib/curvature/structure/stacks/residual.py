"""The residual of a stack's Hessian, summed over samples."""

from __future__ import annotations

from math import prod

from torch import Tensor

from hdlib.curvature.structure.stacks.affine import Affine, Conv, Linear
from hdlib.curvature.structure.stacks.blocks import FLOATS, place
from hdlib.curvature.structure.stacks.layers import Layer


class ResidualSum:
    """Σₙ Σ_c (∂ℓ/∂f_c) ∂²f_c/∂θ² over the samples added, by blocks of layers.

    Args:
        layers: layers after a forward pass of any sample, which shows the shapes.
        matrix: (P, P) matrix, to whose lower triangle the sum is added at the end.
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
