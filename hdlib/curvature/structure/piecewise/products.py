"""Hessian-vector products of a stack of linear layers and ReLUs, differentiated by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hdlib.curvature.inputs.nested import map_tensors
from hdlib.curvature.inputs.objective import require_finite
from hdlib.curvature.structure.chain import AffineLink, Chain, Kept, Link, ReLULink
from hdlib.curvature.structure.losses import Derivatives, OutputDerivatives
from hdlib.curvature.structure.piecewise.affine import Affine, Linear
from hdlib.curvature.structure.piecewise.layers import Layer, ReLU

PIECE, DIRECTIONS = 256, 8
"""Samples and directions at a time: their tangents stay in the processor's cache."""


class InputLink(AffineLink):
    """y = x W + c of the data x, which do not move."""

    def tangent(self, dx: Tensor, saved: Kept) -> Tensor:
        x, _ = saved[self]
        dy = (x @ self._columns).view(len(x), -1, self.weight.shape[1])
        return dy if self._bias is None else dy.add_(self._bias)

    def tangent_backward(self, dg: Tensor, saved: Kept) -> Tensor:
        x, _ = saved[self]
        self._right.addmm_(x.T, dg.view(len(x), -1))
        if self._bias is not None:
            self._sum += dg.sum(0)
        return dg


class StackProducts:
    """V ↦ HV for the mean loss of a stack over N samples.

    With a the input of a linear layer, δ the derivative of the loss by its output, and a dot for
    derivatives along v, its part of Hv is Σₙ δ̇aᵀ + δȧᵀ (Pearlmutter 1994). Forward, ȧ moves through
    the layers, each of which adds Ẇa; at the outputs δ̇ = (∂²ℓ/∂f²) ḟ; backward it moves through
    their transposes, each of which adds Ẇᵀδ. What does not depend on v is computed once, in float64
    whatever the type of the tangents, and kept.

    Args:
        layers: the stack without convolutions, linearised by `piecewise_linear`.
        inputs: (n, *shape) float64 samples that the loss counts.
        targets: their targets.
        derivatives: closed form of the loss's derivatives.
        total: number N of samples in the mean.
        dtype: type of the tangents.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        inputs: Tensor,
        targets: Tensor,
        derivatives: Derivatives,
        *,
        total: int,
        dtype: torch.dtype,
    ) -> None:
        linears = [layer for layer in layers if isinstance(layer, Linear)]
        before = layers[: layers.index(linears[0])]
        self._affine = [_link(layer, first=layer is linears[0]) for layer in linears]
        affine = iter(self._affine)
        links: list[Link] = []
        for layer in layers[len(before) :]:
            if isinstance(layer, Linear):
                links.append(next(affine))
            elif isinstance(layer, ReLU):
                links.append(ReLULink())
        self._chain = Chain(links)
        self._pieces: list[tuple[Kept, OutputDerivatives]] = []
        for x, y in zip(inputs.split(PIECE), targets.split(PIECE), strict=True):
            saved: Kept = {}
            for layer in before:
                x = layer.forward(x)
            found = derivatives(self._chain.forward(x, saved), y)
            found = found._replace(gradient=found.gradient / total, weights=found.weights / total)
            self._chain.backward(found.gradient, saved)
            self._pieces.append(
                map_tensors(lambda t: t.to(dtype) if t.is_floating_point() else t, (saved, found))
            )
        for link in self._affine:
            link.to(dtype)
        self._sizes = [s for layer in linears for s in _sizes(layer)]

    def __call__(self, block: Tensor) -> Tensor:
        """HV (P, b) of V (P, b)."""
        parts = [self._multiply(columns) for columns in block.T.split(DIRECTIONS)]
        products = torch.cat(parts).T
        if torch.isfinite(block).all():
            require_finite("second derivatives are", products)
        return products

    def _multiply(self, directions: Tensor) -> Tensor:
        """Rows Hv (k, P) of rows v (k, P)."""
        k = len(directions)
        parts = iter(directions.split(self._sizes, 1))
        for link in self._affine:
            inputs, outputs = link.weight.shape
            weight = next(parts).reshape(k, outputs, inputs).transpose(1, 2)
            link.along(weight, None if link.bias is None else next(parts))
        for saved, found in self._pieces:
            df = self._chain.tangent(found.gradient, saved)
            self._chain.tangent_backward(found.times(df.mT).mT.contiguous(), saved)
        rows: list[Tensor] = []
        for link in self._affine:
            weight, bias = link.derivative()
            rows.append(weight.transpose(1, 2).flatten(1))
            if link.bias is not None:
                rows.append(bias)
        return torch.cat(rows, 1)


def _link(layer: Linear, *, first: bool) -> AffineLink:
    bias = None if layer.module.bias is None else layer.module.bias.detach()
    return (InputLink if first else AffineLink)(layer.weight.T, bias)


def _sizes(layer: Affine) -> list[int]:
    """Numbers of entries of its weight, and of its bias if it has one."""
    sizes = [layer.outputs * layer.fan_in]
    return [*sizes, layer.outputs] if layer.has_bias else sizes


@torch.no_grad()
def stack_products(layers, derivatives, batches, *, dtype):
    x = torch.cat([b.args[0].double() for b in batches])
    y = torch.cat([b.targets for b in batches])
    return StackProducts(layers, x, y, derivatives, total=len(x), dtype=dtype)
