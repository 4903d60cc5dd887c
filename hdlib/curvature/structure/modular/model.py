"""Transformers that declare the factored form of their forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeGuard

from torch import Tensor, nn

from hdlib.curvature.structure.altered import is_altered

MLP = (nn.Linear, nn.ReLU, nn.Linear)


class AttentionTables(NamedTuple):
    """Scores and values by token and position, and what follows: y = base + z · after.

    A pair's z = value_last + Σₕ wₕ₀ values_a[a] + wₕ₁ values_b[b] in head h's columns, its weights
    the softmax over the scores of a, b and the last position.

    Attributes:
        scores_a: (p, H) scores of the first token.
        scores_b: (p, H) scores of the second token.
        score_last: (H,) scores of "=".
        values_a: (p, d) values of the first token, less ``value_last``.
        values_b: (p, d) values of the second token, less ``value_last``.
        value_last: (d,) value of "=".
        base: (d,) input of the last position, or (C,) its logits where the model is linear.
        after: (d, d) output matrix, or (d, C) followed by the unembedding where it is linear.
    """

    scores_a: Tensor
    scores_b: Tensor
    score_last: Tensor
    values_a: Tensor
    values_b: Tensor
    value_last: Tensor
    base: Tensor
    after: Tensor


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

    def tables(self) -> tuple[Tensor, ...]:
        """The entries of `AttentionTables`."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


def is_factored(model: nn.Module) -> TypeGuard[FactoredModel]:
    """Whether a model computes (r + MLP(r)) Uᵀ, r = φ(y), from its tables, or y where it is linear.

    Its class says so of its own forward pass: ``factored_forward`` is that. A subclass may compute
    something else, and has to say so again; hooks and patches, another MLP and tied parameters are
    not covered by it.
    """
    kind = type(model)
    if vars(kind).get("factored_forward") is not kind.forward:
        return False
    tied = len(list(model.named_parameters(remove_duplicate=False))) > len(list(model.parameters()))
    patched = {"tables", "read_out"} & vars(model).keys() or any(map(is_altered, model.modules()))
    return not tied and not patched and (model.mlp is None or _is_mlp(model.mlp))


def _is_mlp(mlp: object) -> bool:
    return (
        type(mlp) is nn.Sequential
        and tuple(map(type, mlp)) == MLP
        and all(layer.bias is not None for layer in mlp if isinstance(layer, nn.Linear))
    )
