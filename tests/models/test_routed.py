"""Networks on one-hot pairs, against their formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from hdlib.models import GeluMLP, RoutedNetwork
from hdlib.tasks import modular_task

P, WIDTH = 7, 12


def routed(**options: Any) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": WIDTH, "n_layers": 3, "n_heads": 4}
    model = RoutedNetwork(P, **(sizes | options)).double()
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


def one_hot() -> torch.Tensor:
    return modular_task(P, train_fraction=0.5, seed=0).grid.one_hot().double()


def test_routed_network_is_its_formula() -> None:
    model, inputs = routed(), one_hot()
    x = inputs @ model.embedding.weight.T + model.embedding.bias
    assert model.state is not None
    s = x @ model.state.start.weight.T + model.state.start.bias
    for layer in range(3):
        gate, heads, norm = model.gates[layer], model.heads[layer], model.norms[layer]
        hidden = F.gelu(gate.from_state(s) + gate.from_input(x))
        w = (hidden @ gate.choice.weight.T + gate.choice.bias).softmax(1)
        mixed = sum(w[:, i : i + 1] * head(x) for i, head in enumerate(heads))
        x = F.layer_norm(x + mixed, (WIDTH,), norm.weight, norm.bias)
        torch.testing.assert_close(model(inputs).weights[layer], w)
        torch.testing.assert_close(model.trace(inputs).hidden[layer + 1], x)
        if layer < 2:
            s = model.state.updates[layer](torch.cat([s, x], 1))
    torch.testing.assert_close(model.representation(inputs), x)
    torch.testing.assert_close(model(inputs).logits, model.read_out(x))


def test_choices_begin_nearly_uniform_and_sum_to_one() -> None:
    torch.manual_seed(0)
    model = RoutedNetwork(P, width=64, n_layers=2, n_heads=4)
    for w in model(one_hot().float()).weights:
        torch.testing.assert_close(w.sum(1), torch.ones(P**2))
        assert (w - 0.25).abs().max() < 0.05


def test_one_head_chooses_nothing_and_has_no_gates() -> None:
    model = routed(n_heads=1)
    assert not any("gate" in name or "state" in name for name, _ in model.named_parameters())
    assert all(torch.equal(w, torch.ones(P**2, 1).double()) for w in model(one_hot()).weights)


@pytest.mark.parametrize("n_heads", [1, 4])
def test_every_parameter_matters(n_heads: int) -> None:
    model = routed(n_heads=n_heads)
    model(one_hot()).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_parameter_matched_routed_network_has_about_as_many() -> None:
    # 429,395 with an update after the last layer, which nothing reads.
    model = RoutedNetwork(113, width=74, n_layers=2, n_heads=4)
    assert sum(p.numel() for p in model.parameters()) == 429_395 - (2 * 74**2 + 74)


def test_mlp_is_its_formula() -> None:
    torch.manual_seed(0)
    model = GeluMLP(P, width=WIDTH, n_layers=2)
    x = one_hot().float()
    hidden = F.gelu(model[2](F.gelu(model[0](x))))
    torch.testing.assert_close(model.representation(x), hidden)
    torch.testing.assert_close(model(x), model[-1](hidden))
    assert sum(p.numel() for p in model.parameters()) == (2 * P + 1) * 12 + 12 * 13 + 13 * P
