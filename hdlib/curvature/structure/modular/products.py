"""Hessian-vector products of the factored modular-addition transformer, differentiated by hand."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from hdlib.curvature.structure.chain import (
    AffineLink,
    Chain,
    Kept,
    Link,
    ReLULink,
    ResidualChain,
    SoftmaxLoss,
)
from hdlib.curvature.structure.modular.attention import Attention
from hdlib.curvature.structure.modular.model import AttentionTables, FactoredModel

PIECE = 256
"""Pairs in a piece: with 8 directions its tangents stay in the processor's cache."""


class FactoredProducts:
    """V ↦ HV for the mean cross-entropy of a factored transformer over n pairs.

    The loss is a function F of the `AttentionTables` T(θ) and of the matrices after them, so with
    c = ∂F/∂T

        Hv = J_Tᵀ F″ (J_T v) + (Σᵢ cᵢ ∇²Tᵢ) v.

    T has a few hundred rows: its part is left to automatic differentiation. F″ runs over all pairs;
    it is the forward derivative of F's backward pass, written out in `chain` and `attention`, in
    pieces that fit in the cache. What does not depend on the direction is computed once, in float64
    whatever the type of the tangents: in float32 p − y would be rounding.

    Args:
        model: float64 transformer, all parameters trained.
        tokens: (n, 3) int64 sequences [a, b, =].
        targets: (n,) int64 classes.
        dtype: type of the tangents.
    """

    def __init__(
        self,
        model: FactoredModel,
        tokens: Tensor,
        targets: Tensor,
        *,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self._loss = SoftmaxLoss(len(tokens))
        self._pieces: list[Kept] = []
        with torch.no_grad():
            tables = AttentionTables(*model.tables())
            self._attention = Attention(tables)
            self._after = AffineLink(tables.after, tables.base)
            self._chain, self._others = _layers(model, self._after)
            self._gradient = AttentionTables(*map(torch.zeros_like, tables))
            for piece, labels in zip(tokens.split(PIECE), targets.split(PIECE), strict=True):
                saved: Kept = {}
                z = self._attention.forward(piece[:, 0], piece[:, 1], saved)
                logits = self._chain.forward(z, saved)
                g = self._chain.backward(self._loss.gradient(logits, labels, saved), saved)
                self._attention.backward(g, saved, self._gradient)
                g_after = saved[self._after][1]
                self._gradient.after.addmm_(z.T, g_after)
                self._gradient.base.add_(g_after.sum(0))
                self._pieces.append({key: _cast(kept, dtype) for key, kept in saved.items()})
        for affine in [self._after, *(other.affine for other in self._others)]:
            affine.to(dtype)
        self._gradient = AttentionTables(*(table.to(dtype) for table in self._gradient))
        self._model = _TablesOnly(copy.deepcopy(model)).to(dtype)
        self._parameters = {
            name: parameter.detach() for name, parameter in self._model.named_parameters()
        }

        def tables_of(parameters: dict[str, Tensor]) -> AttentionTables:
            return functional_call(self._model, parameters, ())

        def pull(parameters: dict[str, Tensor], c: AttentionTables) -> dict[str, Tensor]:
            return vjp(tables_of, parameters)[1](c)[0]

        self._pull = vjp(tables_of, self._parameters)[1]
        # ⟨J_Tᵀ c, v⟩ differentiated by θ and by c: (Σᵢ cᵢ ∇²Tᵢ) v, and J_T v.
        self._along = vjp(pull, self._parameters, self._gradient)[1]

    @torch.no_grad()
    def __call__(self, block: Tensor) -> Tensor:
        """HV (P, b) of V (P, b)."""
        directions = self._split(block)
        products, tables = vmap(self._along)(directions)
        self._attention.along(tables)
        self._after.along(tables.after, tables.base)
        for other in self._others:
            bias = None if other.bias is None else directions[other.bias]
            other.affine.along(directions[other.weight].transpose(1, 2), bias)
        for saved in self._pieces:
            df = self._chain.tangent(self._attention.tangent(saved), saved)
            dg = self._chain.tangent_backward(self._loss.tangent(df, saved), saved)
            self._attention.tangent_backward(dg, saved)
        after, base = self._after.derivative()
        moved = AttentionTables(*[*self._attention.derivative(), base, after])
        for name, pulled in vmap(self._pull)(moved)[0].items():
            products[name] = products[name] + pulled
        for other in self._others:
            weight, bias = other.affine.derivative()
            products[other.weight] = products[other.weight] + weight.transpose(1, 2)
            if other.bias is not None:
                products[other.bias] = products[other.bias] + bias
        return torch.cat([product.flatten(1) for product in products.values()], 1).T

    def _split(self, block: Tensor) -> dict[str, Tensor]:
        pieces = block.T.split([parameter.numel() for parameter in self._parameters.values()], 1)
        return {
            name: piece.reshape(-1, *parameter.shape)
            for (name, parameter), piece in zip(self._parameters.items(), pieces, strict=True)
        }


def _cast(kept: Any, dtype: torch.dtype) -> Any:
    """Floating tensors of nested tuples in another type."""
    if isinstance(kept, Tensor):
        return kept.to(dtype) if kept.is_floating_point() else kept
    cast = [_cast(part, dtype) for part in kept]
    return type(kept)(*cast) if hasattr(kept, "_fields") else tuple(cast)


class _TablesOnly(nn.Module):
    """A model whose forward pass ends at its tables."""

    def __init__(self, model: FactoredModel) -> None:
        super().__init__()
        self.model = model

    def forward(self) -> AttentionTables:
        return AttentionTables(*self.model.tables())


class _Parameters(NamedTuple):
    """An affine layer whose weight, transposed, and bias are parameters of these names."""

    affine: AffineLink
    weight: str
    bias: str | None


def _layers(model: FactoredModel, after: AffineLink) -> tuple[Chain, list[_Parameters]]:
    """The layers from z to the logits, and those that are parameters themselves."""
    layers: list[Link] = [after]
    others: list[_Parameters] = []
    if model.linear:
        return Chain(layers), others

    def affine(weight: str, bias: str | None) -> AffineLink:
        tensors = dict(model.named_parameters())
        layer = AffineLink(tensors[weight].T, None if bias is None else tensors[bias])
        name = "model.{}".format
        others.append(_Parameters(layer, name(weight), None if bias is None else name(bias)))
        return layer

    if model.activation == "relu":
        layers.append(ReLULink())
    if model.mlp is not None:
        into, out = (affine(f"mlp.{i}.weight", f"mlp.{i}.bias") for i in (0, 2))
        layers.append(ResidualChain([into, ReLULink(), out]))
    layers.append(affine("unembedding", None))
    return Chain(layers), others
