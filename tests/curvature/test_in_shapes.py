"""Vectors over the parameter vector in the shapes of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from hdlib import HessianOperator, in_shapes, spectrum


def model() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 5), nn.Linear(5, 3))
    network[2].bias.requires_grad_(False)
    return network.double()


NAMES = ["0.weight", "0.bias", "2.weight", "3.weight", "3.bias"]


def test_every_entry_has_its_place():
    network = model()
    flat = torch.cat([p.detach().flatten() for p in network.parameters() if p.requires_grad])
    vectors: Any
    for vectors in (flat, flat.numpy()):
        shaped = in_shapes(vectors, network)
        assert list(shaped) == NAMES
        for name, part in shaped.items():
            assert type(part) is type(vectors)
            np.testing.assert_array_equal(part, network.get_parameter(name).detach())
    block = torch.stack([flat, 2 * flat, -flat], dim=1)
    for vectors in (block, block.numpy(), block.T.contiguous().T, block[:, :0]):
        for name, part in in_shapes(vectors, network).items():
            assert part.shape == (vectors.shape[1], *network.get_parameter(name).shape)
            for one, factor in zip(part, (1, 2, -1), strict=False):
                np.testing.assert_array_equal(one, factor * network.get_parameter(name).detach())


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (["0"], NAMES[:2]),
        (["3.bias", "0.weight"], ["0.weight", "3.bias"]),
        (["2"], ["2.weight", "2.bias"]),
        (["2.weight", "2"], ["2.weight", "2.bias"]),
    ],
)
def test_a_subset_by_name(parameters, names):
    network = model()
    flat = torch.cat([network.get_parameter(name).detach().flatten() for name in names])
    shaped = in_shapes(flat, network, parameters=parameters)
    assert list(shaped) == names
    for name, part in shaped.items():
        torch.testing.assert_close(part, network.get_parameter(name).detach())


def test_a_step_along_an_eigenvector():
    """The curvature along it, by moving the parameters themselves."""
    network, x = model(), torch.randn(20, 1, 4, 4).double()
    y = torch.randint(3, (20,))
    loss = nn.CrossEntropyLoss()
    found = spectrum(HessianOperator(network, loss, (x, y)), top=1, tol=1e-10)
    direction = in_shapes(torch.from_numpy(found.top(1)[:, 0].copy()), network)

    def at(dose: float) -> float:
        moved = {name: network.get_parameter(name) + dose * v for name, v in direction.items()}
        return loss(functional_call(network, moved, (x,)), y).item()

    second = (at(1e-3) - 2 * at(0) + at(-1e-3)) / 1e-6
    assert second == pytest.approx(found.eigenvalues[-1], rel=1e-4)


@pytest.mark.parametrize(
    ("vectors", "parameters", "words"),
    [
        (np.zeros(5), None, r"vectors must be \(78,\) or \(78, m\), got \(5,\)"),
        (np.zeros((3, 78)), None, r"got \(3, 78\)"),
        (np.zeros((78, 2, 2)), None, r"got \(78, 2, 2\)"),
        (torch.zeros(78), ["0"], r"vectors must be \(20,\) or \(20, m\), got \(78,\)"),
        (np.zeros(78), ["4"], "no '4' among 0.weight"),
        (np.zeros(78), ["2.bias"], r"vectors must be \(5,\)"),
        (np.zeros(78), ["0.weigh"], r"no '0\.weigh' among"),
    ],
)
def test_refuses(vectors, parameters, words):
    with pytest.raises(ValueError, match=words):
        in_shapes(vectors, model(), parameters=parameters)
