"""The Gauss–Newton part of a stack's Hessian, summed over samples."""

from __future__ import annotations

import torch
from torch import Tensor

from hdlib.curvature.structure.losses import OutputDerivatives
from hdlib.curvature.structure.stacks.affine import Affine, Conv, Linear
from hdlib.curvature.structure.stacks.blocks import add_outer, hidden_pairs, place
from hdlib.curvature.structure.stacks.layers import Layer
from hdlib.curvature.structure.stacks.pull import Pulled, readout
from hdlib.curvature.structure.stacks.rank_k import add_rank_k


class GaussNewtonSum:
    """Σₙ Jᵀ(∂²ℓ/∂f²)J over the samples added.

    Args:
        layers: layers of the network.
        matrix: (P, P) matrix, to whose lower triangle the sum is added.
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
            add_outer(total, patches[earlier], patches[later], inner.flatten(1))
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
        add_outer(self._own, patches, patches, derivatives.diagonal())
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
