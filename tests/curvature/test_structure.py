"""Exact Hessians of recognised networks against PyTorch's transforms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

from hdlib.curvature import gauss_newton, hessian, hessian_split
from hdlib.models import LeNetTiny
from hdlib.tasks import load_images

from .reference import (
    flat_parameters,
    objective,
    reference_gauss_newton,
    reference_hessian,
    reference_products,
    relative_error,
)
from .stacks import STACKS, fit, make, recognised, targets_for

LOSSES = {
    "cross-entropy": F.cross_entropy,
    "mean squared error": F.mse_loss,
    "cross-entropy module": nn.CrossEntropyLoss(),
    "mean squared error module": nn.MSELoss(),
}


@pytest.mark.parametrize("name", STACKS)
def test_structure_is_recognised(name):
    model, x, _ = make(name)
    assert recognised(model, x) is not None


@pytest.mark.parametrize("trained", [False, True], ids=["untrained", "trained"])
@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("name", STACKS)
def test_hessian(name, loss, trained):
    model, x, classes = make(name)
    y = targets_for(loss, model(x), classes)
    if trained:
        fit(model, loss, x, y)
    expected = reference_hessian(model, loss, x, y)
    value = hessian(model, loss, (x, y))
    assert value.dtype == torch.float64
    assert torch.equal(value, value.T)
    assert relative_error(value, expected) < 1e-12


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("name", STACKS)
def test_gauss_newton_and_split(name, loss):
    model, x, classes = make(name)
    y = targets_for(loss, model(x), classes)
    curved, bent = hessian_split(model, loss, (x, y))
    expected = reference_gauss_newton(model, loss, x, y)
    assert relative_error(curved, expected) < 1e-12
    assert relative_error(gauss_newton(model, loss, (x, y)), expected) < 1e-12
    assert relative_error(curved + bent, reference_hessian(model, loss, x, y)) < 1e-12
    assert torch.equal(bent, bent.T)
    values = torch.linalg.eigvalsh(curved)
    assert values[0] >= -1e-12 * values[-1]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_losses_as_functions_and_modules(loss):
    model, x, classes = make("mlp")
    y = targets_for(loss, model(x), classes)
    expected = reference_hessian(model, loss, x, y)
    assert relative_error(hessian(model, loss, (x, y)), expected) < 1e-12


@pytest.mark.parametrize("name", STACKS)
def test_ties_and_exact_zeros(name):
    """Small integers everywhere: pooling windows tie and pre-activations are exactly zero."""
    model, x, y = make(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape))
        x = torch.randint_like(x, -1, 2)
        x[0] = 1
        x[1] = 0
    expected = reference_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, F.cross_entropy, (x, y)), expected) < 1e-12


@pytest.mark.parametrize("bias", [0.0, -1000.0], ids=["at zero", "far below"])
@pytest.mark.parametrize("name", ["mlp", "overlapping max-pool with padding", "nested"])
def test_dead_units(name, bias):
    model, x, y = make(name)
    first = next(m for m in model.modules() if isinstance(m, (Linear, Conv2d)))
    with torch.no_grad():
        if bias == 0:
            first.weight.zero_()
        assert first.bias is not None
        first.bias.fill_(bias)
    value = hessian(model, F.cross_entropy, (x, y))
    assert relative_error(value, reference_hessian(model, F.cross_entropy, x, y)) < 1e-12
    dead = sum(parameter.numel() for parameter in first.parameters())
    assert not value[:dead].any() or name.startswith("overlapping")


def test_linear_regression_in_closed_form():
    torch.manual_seed(0)
    x, y = torch.randn(30, 4, dtype=torch.float64), torch.randn(30, 2, dtype=torch.float64)
    value = hessian(Linear(4, 2), F.mse_loss, (x, y))
    ones = torch.ones(30, 1, dtype=torch.float64)
    # Two outputs halve the mean of squares; θ is the weight, row by row, then the bias.
    block = torch.cat([x, ones], 1).T @ torch.cat([x, ones], 1) / 30
    order = [0, 1, 2, 3, 5, 6, 7, 8, 4, 9]
    expected = torch.block_diag(block, block)[order][:, order]
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-14)


def test_batches_do_not_matter():
    model, x, y = make("three convolutions and two linear layers", samples=150)
    whole = hessian(model, F.cross_entropy, (x, y))
    assert relative_error(whole, reference_hessian(model, F.cross_entropy, x, y)) < 1e-12
    pieces = list(zip(x.split(64), y.split(64), strict=True))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=40)
    empty = (x[:0], y[:0])
    for data in (pieces, [empty, *pieces], (piece for piece in pieces), map(tuple, loader)):
        assert relative_error(hessian(model, F.cross_entropy, data), whole) < 1e-13


def test_samples_weigh_the_same():
    model, x, y = make("mlp", samples=5)
    one = hessian(model, F.cross_entropy, (x, y))
    twice = hessian(model, F.cross_entropy, [(x, y), (x[:3], y[:3]), (x[3:], y[3:])])
    assert relative_error(twice, one) < 1e-13


def test_finite_differences_of_the_gradient():
    model, x, y = make("convolutions only", samples=3)
    f, theta = objective(model, F.cross_entropy, x, y), flat_parameters(model)
    slope, step = torch.func.grad(f), 1e-6
    columns = [
        (slope(theta + step * unit) - slope(theta - step * unit)) / (2 * step)
        for unit in torch.eye(len(theta), dtype=torch.float64)
    ]
    value = hessian(model, F.cross_entropy, (x, y))
    assert relative_error(value, torch.stack(columns)) < 1e-8


def test_the_model_is_left_alone():
    model = LeNetTiny(1).train()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    x, y = torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 3])
    single = hessian(model, F.cross_entropy, (x, y))
    assert model.training
    assert all(p.dtype == torch.float32 and p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])
    assert torch.equal(single, hessian(model.double(), F.cross_entropy, (x.double(), y)))


@pytest.mark.parametrize("trained", [False, True], ids=["untrained", "trained"])
def test_lenet_tiny_on_digits(trained):
    inputs, classes = load_images("digits").train
    torch.manual_seed(0)
    model = LeNetTiny()
    if trained:
        fit(model, F.cross_entropy, inputs[:200], classes[:200], steps=15)
    x, y = inputs[:20].double(), classes[:20]
    value = hessian(model, F.cross_entropy, (x, y))
    assert value.shape == (5994, 5994)
    assert torch.equal(value, value.T)
    directions = torch.randn(5994, 40, dtype=torch.float64)
    for block in directions.split(20, dim=1):
        expected = reference_products(model, F.cross_entropy, x, y, block)
        assert relative_error(value @ block, expected) < 1e-12
    slope = torch.func.grad(objective(model, F.cross_entropy, x, y))
    for v in directions.T[:3]:
        expected = torch.func.jvp(slope, (flat_parameters(model),), (v,))[1]
        assert isinstance(expected, torch.Tensor)
        assert relative_error(value @ v, expected) < 1e-12


def test_constant_images_tie_in_every_window():
    model = Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(8, 3)).double()
    x = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1).expand(3, 1, 6, 6)
    y = torch.tensor([0, 1, 2])
    expected = reference_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, F.cross_entropy, (x, y)), expected) < 1e-12
