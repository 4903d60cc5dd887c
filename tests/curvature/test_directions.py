"""Curvature of samples, gradients, and which layer a direction lies in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hdlib.curvature import (
    gradient,
    hessian,
    layer_blocks,
    layer_weights,
    parameter_layers,
    sample_curvature,
)
from hdlib.models import LeNetTiny

from .reference import flat_parameters, objective, reference_hessian, relative_error
from .stacks import make


@pytest.mark.parametrize("name", ["mlp", "nested", "LeNet-tiny of width 1", "average pool"])
def test_curvature_of_each_sample(name):
    model, x, y = make(name)
    v = torch.randn(len(flat_parameters(model)), dtype=torch.float64)
    values = sample_curvature(model, F.cross_entropy, (x, y), v)
    for index, value in enumerate(values):
        one = slice(index, index + 1)
        expected = v @ reference_hessian(model, F.cross_entropy, x[one], y[one]) @ v
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


def test_mean_of_the_samples_is_the_curvature():
    model, x, y = make("mlp", samples=600)
    v = torch.randn(len(flat_parameters(model)), dtype=torch.float64)
    whole = v @ hessian(model, F.cross_entropy, (x, y)) @ v
    values = sample_curvature(model, F.cross_entropy, [(x[:7], y[:7]), (x[7:], y[7:])], v)
    assert values.shape == (600,)
    torch.testing.assert_close(values.mean(), whole, rtol=1e-12, atol=1e-14)


def test_direction_of_another_size():
    model, x, y = make("mlp")
    size = len(flat_parameters(model))
    with pytest.raises(ValueError, match=rf"direction must be \({size},\), got \(3,\)"):
        sample_curvature(model, F.cross_entropy, (x, y), torch.ones(3))


@pytest.mark.parametrize("name", ["mlp", "nested"])
def test_gradient(name):
    model, x, y = make(name, samples=1100)
    expected = torch.func.grad(objective(model, F.cross_entropy, x, y))(flat_parameters(model))
    value = gradient(model, F.cross_entropy, (x, y))
    assert relative_error(value, expected) < 1e-13
    pieces = zip(x.split(300), y.split(300), strict=True)
    assert relative_error(gradient(model, F.cross_entropy, pieces), expected) < 1e-13


def small() -> nn.Module:
    model = nn.Sequential()
    model.add_module("first", nn.Linear(2, 3, bias=False))
    model.add_module("act", nn.ReLU())
    model.add_module("rest", nn.Sequential(nn.Linear(3, 1)))
    return model


def test_parameter_layers():
    layers = parameter_layers(small())
    assert {name: indices.tolist() for name, indices in layers.items()} == {
        "first": [0, 1, 2, 3, 4, 5],
        "rest.0": [6, 7, 8, 9],
    }
    assert {name: len(i) for name, i in parameter_layers(LeNetTiny()).items()} == {
        "conv1": 208,
        "conv2": 3216,
        "linear": 2570,
    }
    assert list(parameter_layers(nn.Linear(2, 2))) == ["Linear"]
    partly = small()
    partly.get_parameter("first.weight").requires_grad_(False)
    assert {k: v.tolist() for k, v in parameter_layers(partly).items()} == {"rest.0": [0, 1, 2, 3]}


def test_layer_blocks():
    matrix = torch.arange(100.0).view(10, 10)
    blocks = layer_blocks(matrix, small())
    assert list(blocks) == [
        ("first", "first"),
        ("first", "rest.0"),
        ("rest.0", "first"),
        ("rest.0", "rest.0"),
    ]
    assert torch.equal(blocks["first", "rest.0"], matrix[:6, 6:])
    assert torch.equal(blocks["rest.0", "rest.0"], matrix[6:, 6:])
    blocks["first", "first"].zero_()
    assert matrix[0, 1] == 1
    with pytest.raises(ValueError, match=r"must be 10 × 10, got \(9, 9\)"):
        layer_blocks(matrix[:9, :9], small())


def test_layer_weights():
    vectors = np.zeros((10, 3))
    vectors[0, 0], vectors[9, 1] = 2, -3
    vectors[[1, 7], 2] = 3, 4
    np.testing.assert_allclose(
        layer_weights(vectors, small()), [[1, 0], [0, 1], [9 / 25, 16 / 25]], rtol=1e-15
    )
    with pytest.raises(ValueError, match=r"vectors must be \(10, m\), got \(10,\)"):
        layer_weights(vectors[:, 0], small())
    with pytest.raises(ValueError, match=r"vectors must be \(10, m\), got \(9, 3\)"):
        layer_weights(vectors[:9], small())
