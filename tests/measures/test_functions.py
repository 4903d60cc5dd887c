"""Changes of a function along directions of its weights: against differences, and planted waves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.models import ModularTransformer

P = 11


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_changes_are_the_limit_of_differences(activation):
    torch.manual_seed(0)
    model = ModularTransformer(P, width=8, n_heads=2, activation=activation).double()
    tokens = torch.tensor([[a, b, P] for a in range(P) for b in range(0, P, 3)])
    size = sum(p.numel() for p in model.parameters())
    directions = np.random.default_rng(0).standard_normal((size, 3)) / size**0.5
    changes = output_changes(model, tokens, directions)
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    sides = []
    for v, change in zip(directions.T, changes, strict=True):
        for sign in (1, -1):
            moved = theta + sign * 1e-6 * torch.from_numpy(v.copy())
            nn.utils.vector_to_parameters(moved, model.parameters())
            sides.append(model(tokens).detach().numpy())
        expected = (sides[-2] - sides[-1]) / 2e-6
        np.testing.assert_allclose(change, expected, atol=1e-8 * np.abs(expected).max())


def test_parameters_without_use_or_training_do_not_count():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(2, 3, bias=False), nn.Parameter(torch.ones(4))
            self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

        def forward(self, x):
            return self.used(x) * self.frozen

    inputs = torch.tensor([[1.0, 2.0]])
    names = [name for name, p in Net().named_parameters() if p.requires_grad]
    direction = np.zeros((10, 1))
    direction[0 if names[0] == "used.weight" else 4] = 1
    np.testing.assert_allclose(output_changes(Net(), inputs, direction), [[[1, 0, 0]]])
    with pytest.raises(ValueError, match=r"directions must be \(10, m\), got \(13, 1\)"):
        output_changes(Net(), inputs, np.zeros((13, 1)))


def test_planted_waves_of_the_class():
    classes = np.arange(P)
    rng = np.random.default_rng(0)
    amplitudes = rng.normal(size=(40, 1))
    waves = {k: np.cos(2 * np.pi * k * classes / P + rng.uniform(size=(40, 1))) for k in (2, 5)}
    mixed = np.stack([amplitudes * waves[2], amplitudes * (3 * waves[5] + waves[2]) + 7])
    with_equals = np.concatenate([mixed, rng.normal(size=(2, 40, 1))], axis=2)
    shares = class_frequencies(with_equals, P)
    np.testing.assert_allclose(shares[0], np.eye(5)[1], atol=1e-12)
    np.testing.assert_allclose(shares[1], 0.9 * np.eye(5)[4] + 0.1 * np.eye(5)[1], atol=1e-12)
    noise = class_frequencies(rng.normal(size=(1, 4_000, P)), P)
    np.testing.assert_allclose(noise, 1 / 5, atol=0.02)


def test_what_has_no_frequency():
    with pytest.raises(ValueError, match="equal for all classes"):
        class_frequencies(np.ones((1, 4, P)), P)
    with pytest.raises(ValueError, match=r"must be \(m, n, C\) with C ≥ 11, got \(1, 4, 10\)"):
        class_frequencies(np.ones((1, 4, 10)), P)
