"""Derivatives of a chain of affine maps and activations, along many directions, by hand.

Each layer has four passes over a piece of n samples: forward and backward give values and
gradients, `tangent` and `tangent_backward` their derivatives along k directions of the layer's own
weights (Pearlmutter 1994). Tangents are (n, k, size): then all products with weights, and with
directions of weights, are single matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Kept: TypeAlias = dict[Any, Any]
"""What a layer keeps of a piece between its passes."""


class Link(Protocol):
    """A map of (n, in) to (n, out)."""

    def forward(self, x: Tensor, saved: Kept) -> Tensor: ...

    def backward(self, g: Tensor, saved: Kept) -> Tensor: ...

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor: ...

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor: ...


class InputLink:
    """y = x W + c of data x, which do not move.

    Args:
        weight: matrix W (in, out).
        bias: vector c (out,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    def to(self, dtype: torch.dtype) -> None:
        """Cast the weight for the tangents."""
        self.weight = self.weight.to(dtype)

    def along(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take directions of the weight, (k, in, out), and of the bias, (k, out)."""
        k, inputs, outputs = weight.shape
        self._columns = weight.permute(1, 0, 2).reshape(inputs, k * outputs)
        self._bias = bias
        self._right = weight.new_zeros(inputs, k * outputs)
        self._sum = weight.new_zeros(k, outputs)

    def derivative(self) -> tuple[Tensor, Tensor]:
        """Derivatives of the gradients of weight, (k, in, out), and bias, (k, out)."""
        return self._right.unflatten(1, self._sum.shape).transpose(0, 1), self._sum

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        saved[self] = x
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        return g

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        return self._moved(saved[self])

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        self._collect(saved[self], dg)
        return dg

    def _moved(self, x: Tensor) -> Tensor:
        """Derivative x Ẇ + ċ along the directions."""
        if self._bias is None:
            dy = x @ self._columns
        else:
            dy = torch.addmm(self._bias.flatten(), x, self._columns)
        return dy.unflatten(1, self._sum.shape)

    def _collect(self, x: Tensor, dg: Tensor) -> None:
        """Add xᵀ ġ, and Σ ġ, the derivatives of the gradients."""
        rows = dg.flatten(1)
        self._right.addmm_(x.T, rows)
        if self._bias is not None:
            self._sum.view(-1).addmv_(rows.T, dg.new_ones(len(x)))


class EmbeddingLink(InputLink):
    """The rows of a table W (in, out) that tokens (n, t) name, side by side: (n, t · out)."""

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        saved[self] = x
        return self.weight[x].flatten(1)

    def _moved(self, x: Tensor) -> Tensor:
        rows = self._columns[x].unflatten(2, (-1, self.weight.shape[1]))
        return rows.transpose(1, 2).flatten(2)

    def _collect(self, x: Tensor, dg: Tensor) -> None:
        rows = dg.unflatten(2, (x.shape[1], -1)).transpose(1, 2)
        self._right.index_add_(0, x.flatten(), rows.flatten(2).flatten(0, 1))


class AffineLink(InputLink):
    """y = x W + c."""

    def along(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().along(weight, bias)
        k, inputs, outputs = weight.shape
        self._rows = weight.permute(2, 0, 1).reshape(outputs, k * inputs)
        self._left = weight.new_zeros(outputs, k * inputs)

    def derivative(self) -> tuple[Tensor, Tensor]:
        right, total = super().derivative()
        return self._left.unflatten(1, right.shape[:2]).permute(1, 2, 0) + right, total

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        saved[self] = saved[self], g
        return g @ self.weight.T

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        self._dx = dx
        x, _ = saved[self]
        dy = self._moved(x)
        _flat(dy).addmm_(_flat(dx), self.weight)
        return dy

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        x, g = saved[self]
        self._collect(x, dg)
        self._left.addmm_(g.T, self._dx.flatten(1))
        dx = (g @ self._rows).view_as(self._dx)
        _flat(dx).addmm_(_flat(dg), self.weight.T)
        return dx


def _flat(tangents: Tensor) -> Tensor:
    """Tangents (n, k, size), of any size, as (n · k, size) in the same memory."""
    n, k, size = tangents.shape
    return tangents.view(n * k, size)


class ReLULink:
    """y = max(x, 0), its second derivative 0."""

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        saved[self] = (x > 0).to(x.dtype)
        return x * saved[self]

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        return g * saved[self]

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        return dx.mul_(saved[self][:, None])

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        return dg.mul_(saved[self][:, None])


class SmoothLink:
    """y = φ(x), entry by entry.

    Args:
        function: φ, twice differentiable.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = self._function(x.clone())  # which it may change in place
            (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.sum(), x)
        saved[self] = slope.detach(), curvature
        return y.detach()

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        slope, curvature = saved[self]
        saved[self] = slope, curvature * g
        return g * slope

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        self._dx = dx
        slope, _ = saved[self]
        return dx * slope[:, None]

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        slope, bent = saved[self]
        return dg.mul_(slope[:, None]).addcmul_(self._dx, bent[:, None])


class Chain:
    """One layer after the other."""

    def __init__(self, layers: list[Link]) -> None:
        self.layers = layers

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, saved)
        return x

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        for layer in reversed(self.layers):
            g = layer.backward(g, saved)
        return g

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        for layer in self.layers:
            dx = layer.tangent(dx, saved)
        return dx

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        for layer in reversed(self.layers):
            dg = layer.tangent_backward(dg, saved)
        return dg


class ResidualChain(Chain):
    """y = x + chain(x)."""

    def forward(self, x: Tensor, saved: Kept) -> Tensor:
        return x + super().forward(x, saved)

    def backward(self, g: Tensor, saved: Kept) -> Tensor:
        return g + super().backward(g, saved)

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        return dx + super().tangent(dx, saved)

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        return dg + super().tangent_backward(dg, saved)


class SoftmaxLoss:
    """Sum of cross-entropies over ``total``: gradient c = (p − y) / total of the logits.

    Args:
        total: number of samples in the mean.
    """

    def __init__(self, total: int) -> None:
        self.total = total

    def gradient(self, logits: Tensor, targets: Tensor, saved: Kept) -> Tensor:
        p = torch.softmax(logits, 1)
        c = p - F.one_hot(targets, p.shape[1])
        wrong = p.scatter(1, targets[:, None], 0)
        saved[self] = p, wrong / self.total, targets[:, None, None]
        return c / self.total

    def tangent(self, df: Tensor, saved: Kept) -> Tensor:
        """Dc = p ∘ (df − ⟨p, df⟩) / total.

        The target's entry is minus the sum of the others: where p is nearly 1 its own difference
        would cancel.
        """
        p, wrong, targets = saved[self]
        dc = df.sub_(torch.matmul(df, p[:, :, None])).mul_(wrong[:, None])
        return dc.scatter_(2, targets.expand(-1, dc.shape[1], -1), -dc.sum(2, keepdim=True))
