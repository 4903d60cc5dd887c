from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import hessian, jacrev

from hdlib.measures import sensitivity
from hdlib.measures.sensitivity import input_hessian_trace, input_jacobian

MEASURES = input_jacobian, input_hessian_trace


def network(*shape: int, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape), 7), nn.GELU(), nn.Linear(7, classes)
    ).double()


def points(n: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def by_force(model: nn.Module, inputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """‖J‖² and the trace of the predicted logit's Hessian, input by input."""
    jacobians, traces = [], []
    for x in inputs:

        def one(x: Tensor) -> Tensor:
            return model(x[None])[0]

        chosen = int(one(x).argmax())
        jacobians.append(jacrev(one)(x).square().sum().item())
        matrix = hessian(lambda x: one(x)[chosen])(x)  # noqa: B023
        traces.append(matrix.reshape(x.numel(), x.numel()).trace().item())
    return np.array(jacobians), np.array(traces)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 3, 1)])
@pytest.mark.parametrize("together", [2, 256])
def test_exact_against_one_input_at_a_time(shape, together, monkeypatch):
    monkeypatch.setattr(sensitivity, "SAMPLES", together)
    model, x = network(*shape), points(9, *shape)
    for measure, each in zip(MEASURES, by_force(model, x), strict=True):
        found = measure(model, x)
        assert found.value == pytest.approx(each.mean(), rel=1e-12)
        assert found.standard_error == pytest.approx(each.std(ddof=1) / 3, rel=1e-10)


def test_closed_forms():
    """f = (x², 2y² − 9, xy) at (3, 1) and (0, 4): the predicted logits are x², 2y² − 9."""

    def f(inputs: Tensor) -> Tensor:
        x, y = inputs.T
        return torch.stack([x**2, 2 * y**2 - 9, x * y], 1)

    inputs = torch.tensor([[3.0, 1.0], [0.0, 4.0]])
    assert input_jacobian(f, inputs).value == (36 + 16 + 10 + 256 + 16) / 2
    assert input_hessian_trace(f, inputs) == pytest.approx((3, 1))
    assert math.isnan(input_jacobian(f, inputs[:1]).standard_error)


def test_a_linear_network_has_the_same_jacobian_everywhere():
    model = nn.Linear(3, 4).requires_grad_(False)
    jacobian = input_jacobian(model, torch.randn(20, 3))
    assert jacobian.value == pytest.approx(model.weight.square().sum().item(), rel=1e-6)
    assert jacobian.standard_error == pytest.approx(0, abs=1e-6)
    assert input_hessian_trace(model, torch.randn(20, 3)) == (0, 0)


@pytest.mark.parametrize(("measure", "kind"), [(input_jacobian, 0), (input_hessian_trace, 1)])
def test_probes_are_unbiased_and_their_noise_is_in_the_error(measure, kind, monkeypatch):
    """All inputs are the same, so that the error is that of the probes."""
    model, x = network(4, 2), points(1, 4, 2).expand(30, -1, -1)
    truth = by_force(model, x[:1])[kind][0]
    monkeypatch.setattr(sensitivity, "EXACT", 0)
    found = [measure(model, x, probes=3, seed=seed) for seed in range(60)]
    scores = np.array([(each.value - truth) / each.standard_error for each in found])
    assert abs(scores.mean()) < 4 / 60**0.5
    assert 0.7 < scores.std() < 1.3
    many = measure(model, x, probes=300)
    few = np.mean([each.standard_error for each in found])
    assert many.standard_error == pytest.approx(few / 10, rel=0.4)
    assert many.value == pytest.approx(truth, abs=4 * many.standard_error)


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_is_drawn_or_changed(measure, monkeypatch):
    model, x = network(3), points(6, 3)
    monkeypatch.setattr(sensitivity, "EXACT", 0)
    before = torch.get_rng_state()
    with torch.no_grad():
        found = measure(model, x)
    assert measure(model, x) == found != measure(model, x, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in model.parameters())
    assert not x.requires_grad


@pytest.mark.parametrize("measure", MEASURES)
def test_errors(measure):
    model = network(3)
    with pytest.raises(ValueError, match=r"inputs of shape \(0, 3\)"):
        measure(model, torch.ones(0, 3))
    with pytest.raises(ValueError, match=r"type torch.int64: must be .* floating"):
        measure(model, torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="probes=0: must be at least 1"):
        measure(model, points(2, 3), probes=0)
    with pytest.raises(ValueError, match=r"logits of shape \(2,\): must be \(2, C\)"):
        measure(lambda x: x[:, 0], points(2, 3))
    with pytest.raises(ValueError, match="do not depend on the inputs"):
        measure(lambda x: x.detach(), points(2, 3))
