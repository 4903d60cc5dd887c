"""A hidden layer in which circuits are planted."""

from __future__ import annotations

import pytest
import torch

from hdlib.models import PlantedNetwork

SIZES = ((4, 6), (2, 3), (3, 5))


def network(alpha: float, **options) -> PlantedNetwork:
    torch.manual_seed(0)
    return PlantedNetwork(*SIZES, alpha=alpha, **options)


def test_uncoupled_circuits_are_two_networks():
    model, x = network(0.0), torch.randn(7, 10)
    w, b, u, c = (parameter.detach() for parameter in model.parameters())
    outputs = model(x).detach()
    first = (x[:, :4] @ w[:2, :4].T + b[:2]) ** 2 @ u[:3, :2].T + c[:3]
    second = (x[:, 4:] @ w[2:, 4:].T + b[2:]) ** 2 @ u[3:, 2:].T + c[3:]
    assert torch.allclose(outputs, torch.cat([first, second], 1), atol=1e-6)


def test_at_one_nothing_is_planted_and_relu_is_what_it_says():
    model, x = network(1.0, unit="relu"), torch.randn(7, 10)
    w, b, u, c = (parameter.detach() for parameter in model.parameters())
    assert torch.allclose(model(x).detach(), (x @ w.T + b).relu() @ u.T + c, atol=1e-6)


def test_labels_of_parameters_are_in_their_order():
    """Gradients of one circuit's outputs are nonzero in its own parameters and in cross weights."""
    model = network(0.5)
    gradients = torch.autograd.grad(
        model(torch.randn(7, 10))[:, :3].square().sum(), list(model.parameters())
    )
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    circuits, factors, owners = model.circuits(), model.factors(), model.owners()
    assert len(flat) == len(circuits) == len(factors) == len(owners)
    assert flat[circuits == 0].all()
    output = torch.arange(len(flat)) >= 5 * 10 + 5
    assert not flat[(circuits == 1) & output].any()
    assert torch.equal(factors == 0.5, circuits == -1)
    assert torch.equal(owners[-8:], torch.full((8,), -1))
    assert torch.equal(owners[10:20], torch.ones(10, dtype=torch.int64))
    assert owners[50 + 5 : 50 + 10].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sizes", "options", "sentence"),
    [
        (((4,), (2, 3), (3, 5)), {"alpha": 0}, "equally many circuits, got 1, 2 and 2"),
        (((4, 0), (2, 3), (3, 5)), {"alpha": 0}, "at least one of each kind, got 0"),
        (SIZES, {"alpha": -1}, "alpha=-1: must be at least 0"),
        (SIZES, {"alpha": 0, "unit": "tanh"}, "unit='tanh': allowed are quadratic, relu"),
    ],
)
def test_impossible_networks(sizes, options, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        PlantedNetwork(*sizes, **options)
