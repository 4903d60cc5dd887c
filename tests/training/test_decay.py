"""Weight decay is for what a parameter is, whatever its name."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from hdlib.models import GeluMLP, GrokTransformer, RoutedNetwork
from hdlib.training import decay_groups

SIZES: dict[str, Any] = {"width": 8, "n_layers": 2}


def names(model: nn.Module, **options) -> tuple[set[str], set[str]]:
    """Names of the modules with decayed parameters, and of those with others."""
    known = {id(p): name for name, p in model.named_parameters()}
    groups = decay_groups(model, 0.5, **options)
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(known)
    of = {g["weight_decay"]: {known[id(p)] for p in g["params"]} for g in groups}
    return of.get(0.5, set()), of.get(0.0, set())


def test_the_routed_network_spares_embedding_norms_biases_and_gates() -> None:
    decayed, spared = names(RoutedNetwork(5, n_heads=2, **SIZES))
    assert decayed == {
        "read_out.weight",
        *(f"heads.{layer}.{h}.{i}.weight" for layer in (0, 1) for h in (0, 1) for i in (0, 2)),
    }
    assert {"embedding.weight", "norms.0.weight", "gates.1.choice.weight"} <= spared
    assert {"state.start.weight", "state.updates.0.weight", "read_out.bias"} <= spared


def test_gates_and_embeddings_can_be_decayed_too() -> None:
    model = RoutedNetwork(5, n_heads=2, **SIZES)
    plain, _ = names(model)
    gates, _ = names(model, gates=True)
    both, spared = names(model, gates=True, embeddings=True)
    assert {name.split(".")[0] for name in gates - plain} == {"gates", "state"}
    assert both - gates == {"embedding.weight"}
    assert all("bias" in name or "norm" in name for name in spared)
    assert not any("bias" in name for name in both)


def test_the_transformer_spares_both_kinds_of_embeddings() -> None:
    decayed, spared = names(GrokTransformer(5, n_tokens=7, n_heads=2, **SIZES))
    assert {"tokens.weight", "positions.weight", "norm.weight"} <= spared
    assert {"read_out.weight", "blocks.0.attention.key.weight"} <= decayed


def test_an_mlps_layer_on_one_hot_vectors_is_an_embedding() -> None:
    decayed, _ = names(GeluMLP(5, **SIZES))
    assert decayed == {"2.weight", "4.weight"}


def test_names_do_not_matter() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding_ln_bias = nn.Linear(2, 2)
            self.weight_layer = nn.LayerNorm(2)

    decayed, spared = names(Odd())
    assert decayed == {"embedding_ln_bias.weight"}
    assert spared == {"embedding_ln_bias.bias", "weight_layer.weight", "weight_layer.bias"}


@pytest.mark.parametrize("model", [nn.LayerNorm(2), nn.Linear(2, 2, bias=False)])
def test_no_group_is_empty(model: nn.Module) -> None:
    assert len(decay_groups(model, 0.5)) == 1
