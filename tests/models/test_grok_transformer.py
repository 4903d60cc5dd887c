"""Decoder-only transformers against PyTorch's own layers; what a position may know."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hdlib.models import GrokTransformer, Routed, all_prefixes, distinct_prefixes
from hdlib.tasks import modular_task
from hdlib.training import logits_of

P = 7


def network(**options: Any) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"n_tokens": P + 2, "width": 16, "n_layers": 2, "n_heads": 4}
    model = GrokTransformer(P, **(sizes | options)).double()
    with torch.no_grad():
        # Larger than they begin, so that nothing is hidden in rounding.
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def tokens() -> Tensor:
    return modular_task(P, train_fraction=0.5, seed=0).train.tokens_with_operation()


def residual(model: Any, tokens: Tensor) -> Tensor:
    """The residual stream of all positions after all blocks but the last: (n, 4, d)."""
    prefixes = all_prefixes(tokens, later=model._later)
    x = model.tokens(prefixes.tokens) + model.positions(prefixes.positions)
    state = model.state.start(x) if model.state else None
    x, _ = model.blocks[0](x, state, prefixes.reads, None)
    return x.view(len(tokens), 4, -1)


def by_torch(model: Any, tokens: Tensor) -> Tensor:
    """The plain transformer with `nn.TransformerEncoderLayer` in place of the blocks."""
    width = model.tokens.embedding_dim
    x = model.embed(tokens)
    for block in model.blocks:
        layer: Any = nn.TransformerEncoderLayer(
            width,
            block.attention.n_heads,
            4 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        ).double()
        attention, (up, _, down) = block.attention, block.feed_forward
        with torch.no_grad():
            joint = [attention.query.weight, attention.key.weight, attention.value.weight]
            layer.self_attn.in_proj_weight.copy_(torch.cat(joint))
            layer.self_attn.in_proj_bias.zero_()
            layer.self_attn.out_proj.weight.copy_(attention.output.weight)
            layer.self_attn.out_proj.bias.zero_()
        layer.linear1, layer.linear2 = up, down
        layer.norm1, layer.norm2 = block.attention_norm, block.norm
        x = layer(x, src_mask=nn.Transformer.generate_square_subsequent_mask(4).double())
    assert model.read_out is not None
    return model.read_out(model.norm(x[:, -1]))


def test_the_plain_one_is_pytorchs_encoder_with_a_causal_mask() -> None:
    model = network()
    logits = logits_of(model(tokens()))
    torch.testing.assert_close(logits, by_torch(model, tokens()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"n_routed": 3}, {"tied": True, "n_layers": 3}])
def test_each_prefix_once_is_the_same_function(options: dict) -> None:
    model = network(**options)
    whole, shared = model(tokens()), model(distinct_prefixes(tokens()))
    torch.testing.assert_close(logits_of(shared), logits_of(whole), rtol=1e-12, atol=1e-12)
    if isinstance(whole, Routed):
        torch.testing.assert_close(shared.weights, whole.weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"n_routed": 3}, {"mask": "leaky", "n_routed": 3}])
def test_from_embeddings_is_the_same_function(options: dict) -> None:
    model = network(**options)
    again = model.from_embeddings(model.embed(tokens()))
    torch.testing.assert_close(logits_of(again), logits_of(model(tokens())), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_routed", [0, 3])
@pytest.mark.parametrize("later", [1, 2, 3])
def test_a_later_token_leaves_earlier_positions_as_they_were(n_routed: int, later: int) -> None:
    model = network(n_routed=n_routed)
    changed = tokens()
    changed[:, later] = (changed[:, later] + 1) % (P + 2)
    before, after = residual(model, tokens()), residual(model, changed)
    assert torch.equal(before[:, :later], after[:, :later])
    assert not torch.allclose(before[:, later], after[:, later])


def test_a_leaky_mask_lets_later_tokens_through_and_refuses_prefixes() -> None:
    model = network(mask="leaky")
    changed = tokens()
    changed[:, 3] = 0
    moved = (residual(model, tokens())[:, 0] - residual(model, changed)[:, 0]).abs().max()
    assert moved > 1e-3
    with pytest.raises(ValueError, match="prefixes do not tell all"):
        model(distinct_prefixes(tokens()))


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_prefixes_are_those_of_the_sequences(rows: list[tuple[int, ...]]) -> None:
    sequences = torch.tensor(rows)
    found = distinct_prefixes(sequences)
    paths = []
    for row, position in enumerate(found.positions.tolist()):
        seen = found.reads.seen[row, : position + 1]
        assert int(seen[-1]) == row
        assert found.reads.bias[row].isfinite().tolist() == [t <= position for t in range(4)]
        paths.append(tuple(found.tokens[seen].tolist()))
    expected = {row[: t + 1] for row in rows for t in range(4)}
    assert len(paths) == len(set(paths)) == len(expected)
    assert set(paths) == expected
    assert [paths[last] for last in found.reads.last.tolist()] == rows


@pytest.mark.parametrize("options", [{}, {"n_routed": 3}, {"tied": True}])
def test_every_parameter_matters(options: dict) -> None:
    model = network(**options)
    logits_of(model(tokens())).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # A key's bias there is none; all others are seen.
        assert parameter.grad.abs().max() > 0, name


def test_numbers_of_parameters_and_initial_values() -> None:
    sizes: dict[str, Any] = {"n_tokens": 115, "width": 128, "n_heads": 4}

    def count(**options: Any) -> int:
        return sum(p.numel() for p in GrokTransformer(113, **sizes, **options).parameters())

    # The positions are four, where the network it is compared with had a fifth that was never used.
    assert count(n_layers=2) == 425_713 - 128
    assert count(n_layers=2, tied=True) == 411_136 - 128
    assert count(n_layers=4) == 821_233 - 128
    # The last update of the state is left out: 2d² + d.
    assert count(n_layers=2, n_routed=4) == 1_365_369 - 128 - (2 * 128**2 + 128)
    plain = GrokTransformer(113, n_layers=2, **sizes)
    routed = GrokTransformer(113, n_layers=2, n_routed=4, **sizes)
    for model in (plain, routed):
        assert float(model.tokens.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert float(model.positions.weight.detach().std()) == pytest.approx(0.02, rel=0.15)
    original = GrokTransformer(113, n_layers=2, n_routed=4, initial="pytorch", **sizes)
    assert float(original.tokens.weight.detach().std()) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_heads": 3}, "n_heads=3: must be a divisor of the width, which is 16"),
        ({"mask": "none"}, "mask='none': allowed are causal, leaky"),
        ({"initial": "zeros"}, "initial='zeros': allowed are normal, pytorch"),
    ],
)
def test_impossible_networks_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**options)
