"""Transformers that declare the factored form of their forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeGuard

from torch import nn

from hdlib.curvature.structure.altered import is_altered
from hdlib.models.pair_attention import RowTables

MLP = (nn.Linear, nn.ReLU, nn.Linear)


class FactoredModel(Protocol):
    """What a one-layer transformer over [a, b, =] offers.

    Attributes:
        p: number of tokens beside "=", which is token p.
        activation: name of φ, "none" or "relu".
        mlp: linear layer, ReLU and linear layer, or None.
        unembedding: matrix U (C, d).
        linear: whether there is neither φ nor MLP.
    """

    p: int
    mlp: nn.Sequential | None
    unembedding: nn.Parameter

    @property
    def activation(self) -> str: ...

    @property
    def linear(self) -> bool: ...

    def row_tables(self) -> RowTables:
        """What y is computed from, for any pairs."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


def is_factored(model: nn.Module) -> TypeGuard[FactoredModel]:
    """Whether a model computes (r + MLP(r)) Uᵀ, r = φ(y), y of `PairAttention`, or y where linear.

    Its class says so of its own forward pass: ``factored_forward`` is that. A subclass may compute
    something else, and has to say so again; hooks and patches, another MLP and tied parameters are
    not covered by it.
    """
    kind = type(model)
    if vars(kind).get("factored_forward") is not kind.forward:
        return False
    tied = len(list(model.named_parameters(remove_duplicate=False))) > len(list(model.parameters()))
    own = {"row_tables", "read_out"} & vars(model).keys()
    patched = own or any(map(is_altered, model.modules()))
    return not tied and not patched and (model.mlp is None or _is_mlp(model.mlp))


def _is_mlp(mlp: object) -> bool:
    return (
        type(mlp) is nn.Sequential
        and tuple(map(type, mlp)) == MLP
        and all(layer.bias is not None for layer in mlp if isinstance(layer, nn.Linear))
    )
