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
from hdlib.curvature.structure.modular.model import FactoredModel
from hdlib.models.pair_attention import RowTables

PIECE = 1_280
"""Pairs in a piece of the products with matrices: their arrays stay in the processor's cache."""


class FactoredProducts:
    """V ↦ HV for the mean cross-entropy of a factored transformer over n pairs.

    The loss is a function F of the `RowTables` T(θ) and of the matrices after them, so with
    c = ∂F/∂T

        Hv = J_Tᵀ F″ (J_T v) + (Σᵢ cᵢ ∇²Tᵢ) v.

    T has a few hundred rows: its part is left to automatic differentiation. F″ runs over all pairs,
    one direction after the other: it is the forward derivative of F's backward pass, written out in
    `attention` and `chain`. What does not depend on the direction is computed once, in float64
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
            self._attention = Attention(model.row_tables(), tokens)
            self._chain, self._others = _layers(model)
            slopes = []
            pieces = self._attention.forward().split(PIECE)
            for y, labels in zip(pieces, targets.split(PIECE), strict=True):
                saved: Kept = {}
                logits = self._chain.forward(y, saved)
                slopes.append(
                    self._chain.backward(self._loss.gradient(logits, labels, saved), saved)
                )
                self._pieces.append({key: _cast(kept, dtype) for key, kept in saved.items()})
            gradient = self._attention.backward(torch.cat(slopes), dtype)
        for other in self._others:
            other.affine.to(dtype)
        self._model = _TablesOnly(copy.deepcopy(model)).to(dtype)
        self._parameters = {
            name: parameter.detach() for name, parameter in self._model.named_parameters()
        }

        def tables_of(parameters: dict[str, Tensor]) -> RowTables:
            return functional_call(self._model, parameters, ())

        def pull(parameters: dict[str, Tensor], c: RowTables) -> dict[str, Tensor]:
            return vjp(tables_of, parameters)[1](c)[0]

        self._pull = vjp(tables_of, self._parameters)[1]
        # ⟨J_Tᵀ c, v⟩ differentiated by θ and by c: (Σᵢ cᵢ ∇²Tᵢ) v, and J_T v.
        gradient = RowTables(*(table.to(dtype) for table in gradient))
        self._along = vjp(pull, self._parameters, gradient)[1]

    @torch.no_grad()
    def __call__(self, block: Tensor) -> Tensor:
        """HV (P, b) of V (P, b)."""
        directions = self._split(block)
        products, tables = vmap(self._along)(directions)
        moved = []
        for column, along in enumerate(zip(*tables, strict=True)):
            one = {name: v[column : column + 1] for name, v in directions.items()}
            moved.append(self._second_derivative(RowTables(*along), one))
        stacked = RowTables(*map(torch.stack, zip(*(tables for tables, _ in moved), strict=True)))
        for name, pulled in vmap(self._pull)(stacked)[0].items():
            products[name] = products[name] + pulled
        for name in moved[0][1]:
            products[name] = products[name] + torch.cat([others[name] for _, others in moved])
        return torch.cat([product.flatten(1) for product in products.values()], 1).T

    def _second_derivative(
        self, along: RowTables, direction: dict[str, Tensor]
    ) -> tuple[RowTables, dict[str, Tensor]]:
        """F″ times one direction: the tables' part, and that of the parameters after them."""
        for other in self._others:
            bias = None if other.bias is None else direction[other.bias]
            other.affine.along(direction[other.weight].transpose(1, 2), bias)
        dy = self._attention.tangent(along).split(PIECE)
        dg = []
        for piece, saved in zip(dy, self._pieces, strict=True):
            df = self._chain.tangent(piece[:, None], saved)
            dg.append(self._chain.tangent_backward(self._loss.tangent(df, saved), saved)[:, 0])
        others: dict[str, Tensor] = {}
        for other in self._others:
            weight, bias = other.affine.derivative()
            others[other.weight] = weight.transpose(1, 2)
            if other.bias is not None:
                others[other.bias] = bias
        return self._attention.tangent_backward(torch.cat(dg)), others

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

    def forward(self) -> RowTables:
        return self.model.row_tables()


class _Parameters(NamedTuple):
    """An affine layer whose weight, transposed, and bias are parameters of these names."""

    affine: AffineLink
    weight: str
    bias: str | None


def _layers(model: FactoredModel) -> tuple[Chain, list[_Parameters]]:
    """The layers from y to the logits, and those that are parameters themselves."""
    layers: list[Link] = []
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
