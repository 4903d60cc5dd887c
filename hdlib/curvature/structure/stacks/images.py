"""Links of a chain over images: convolutions, and layers without parameters.

Tangents are (n, k, *activation). A convolution with k directions of its kernels is one with k times
as many output channels, or with as many input channels, so that all directions share a call.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from hdlib.curvature.structure.chain import InputLink, Kept
from hdlib.curvature.structure.stacks.affine import Conv
from hdlib.curvature.structure.stacks.layers import Layer, MaxPool


class InputConvLink(InputLink):
    """y = W ∗ x + c of images x, which do not move.

    Args:
        layer: convolution with kernels W (O, C, h, w), and maybe a bias c (O,).
    """

    def __init__(self, layer: Conv) -> None:
        super().__init__(layer.weight, layer.bias)
        self._geometry = layer.geometry

    def along(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take directions of the kernels, (k, O, C, h, w), and of the bias, (k, O)."""
        self._outwards = weight.flatten(0, 1)
        self._bias = None if bias is None else bias.flatten()
        self._right = torch.zeros_like(self._outwards)
        self._sum = weight.new_zeros(weight.shape[:2])

    def derivative(self) -> tuple[Tensor, Tensor]:
        """Derivatives of the gradients of kernels, (k, O, C, h, w), and bias, (k, O)."""
        return self._right.unflatten(0, self._sum.shape), self._sum

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        saved[self] = x
        return F.conv2d(x, self.weight, self.bias, **self._geometry)

    def _moved(self, x: Tensor) -> Tensor:
        """Derivative Ẇ ∗ x + ċ along the directions."""
        dy = F.conv2d(x, self._outwards, self._bias, **self._geometry)
        return dy.unflatten(1, self._sum.shape)

    def _collect(self, x: Tensor, dg: Tensor) -> None:
        """Add ġ ∗ x, and Σ ġ, the derivatives of the gradients."""
        shape = self._outwards.shape
        self._right += conv2d_weight(x, shape, dg.flatten(1, 2), **self._geometry)
        if self._bias is not None:
            self._sum += dg.sum((0, 3, 4))


class ConvLink(InputConvLink):
    """y = W ∗ x + c."""

    def along(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().along(weight, bias)
        self._inwards = weight.transpose(0, 1).flatten(1, 2)
        self._left = torch.zeros_like(self._inwards)

    def derivative(self) -> tuple[Tensor, Tensor]:
        right, total = super().derivative()
        return self._left.unflatten(1, (len(right), -1)).transpose(0, 1) + right, total

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        x = saved[self]
        saved[self] = x, g
        return conv2d_input(x.shape, self.weight, g, **self._geometry)

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        self._dx = dx
        x, _ = saved[self]
        dy = self._moved(x)
        flat = F.conv2d(dx.flatten(0, 1), self.weight, **self._geometry)
        return dy.add_(flat.view_as(dy))

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        x, g = saved[self]
        self._collect(x, dg)
        still, flat = self._dx.flatten(1, 2), self._dx.flatten(0, 1)
        self._left += conv2d_weight(still, self._inwards.shape, g, **self._geometry)
        dx = conv2d_input(still.shape, self._inwards, g, **self._geometry).view_as(self._dx)
        back = conv2d_input(flat.shape, self.weight, dg.flatten(0, 1), **self._geometry)
        return dx.add_(back.view_as(dx))


class LayerLink:
    """A linear map without parameters.

    Args:
        layer: average-pool or flatten.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        return self.layer.forward(x)

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        return self._at(saved).pull(g[:, None])[:, 0]

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        return self._at(saved).push(dx, slice(None))

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        return self._at(saved).pull(dg)

    def _at(self, saved: Kept) -> Layer:
        """The layer, linearised at a piece."""
        return self.layer


class MaxPoolLink(LayerLink):
    """The largest entry of each window, of the image or of its positive part.

    Args:
        layer: max-pool.
    """

    layer: MaxPool

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        y = super().forward(x, saved)
        saved[self] = self.layer.indices, self.layer.active
        return y

    def _at(self, saved: Kept) -> Layer:
        self.layer.indices, self.layer.active = saved[self]
        return self.layer
