"""Each part of the loss against its definition written out; the loss is their sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jacrev

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import Terms, TrainedLoss, continuous, encode
from hdlib.models import ArithmeticNetwork, GrokTransformer
from hdlib.training import logits_of

CPU = torch.device("cpu")
P = 5
ARCHITECTURES = ("mlp", "routed", "single_head", "transformer", "routed_transformer")
ROUTED = ("routed", "routed_transformer")
FACTORS = {"lambda_spectral": 0.3, "lambda_jacobian": 0.02}


def config(model: str, **fields: Any) -> LeastActionConfig:
    sizes: dict[str, Any] = {"p": P, "width": 6, "n_heads": 3, "model": model, "n_layers": 2}
    return LeastActionConfig(**(sizes | fields))


def everything(model: str, **fields: Any) -> LeastActionConfig:
    """A loss with every part that a network can have."""
    routing = {"routing_regularizer": "entropy", "lambda_routing": 0.7} if model in ROUTED else {}
    return config(model, **(FACTORS | routing | fields))


def network(config: LeastActionConfig) -> ArithmeticNetwork:
    """In double precision, its weights larger than they begin, so that nothing is nearly 0."""
    model = config.network().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator).double()
    return model


def objective(config: LeastActionConfig) -> TrainedLoss:
    """In double precision, too."""
    found = TrainedLoss(config, CPU)
    for name in ("_inputs", "_train", "_grid"):
        inputs = getattr(found, name)
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            setattr(found, name, inputs.double())
    return found


def double(inputs: Tensor) -> Tensor:
    return inputs.double() if inputs.is_floating_point() else inputs


def terms(config: LeastActionConfig, model: ArithmeticNetwork) -> Terms:
    torch.manual_seed(5)
    return objective(config).terms(model)


def outputs(config: LeastActionConfig, model: ArithmeticNetwork) -> Any:
    return model(double(encode(config, config.task.train)))


def cross_entropy(config: LeastActionConfig, model: ArithmeticNetwork) -> float:
    logits = logits_of(outputs(config, model)).detach().numpy()
    right = logits[np.arange(len(logits)), config.task.train.targets.numpy()]
    return float((np.log(np.exp(logits).sum(1)) - right).mean())


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_cross_entropy_is_over_all_training_pairs(model: str) -> None:
    one = config(model)
    made = network(one)
    found = terms(one, made)
    assert found.cross_entropy.item() == pytest.approx(cross_entropy(one, made), rel=1e-12)
    assert found[1:] == (None, None, None)


def test_both_operations_are_trained_on_at_once() -> None:
    one = config("routed_transformer", operation="both", lambda_spectral=1.0)
    made = network(one)
    found = terms(one, made)
    assert len(one.task.train.a) == 24
    assert found.cross_entropy.item() == pytest.approx(cross_entropy(one, made), rel=1e-12)
    grids = logits_of(made(encode(one, one.task.grid))).detach().numpy().reshape(2, P, P, P)
    shares = [low_share(grid, 1) for grid in grids]
    assert found.spectral is not None
    assert found.spectral.item() == pytest.approx(1 - np.mean(shares), rel=1e-10)


def test_the_softmax_can_be_taken_in_double_precision() -> None:
    one = config("transformer").network()
    losses = [
        TrainedLoss(config("transformer", softmax=kind), CPU)(one)
        for kind in ("float32", "float64")
    ]
    assert [loss.dtype for loss in losses] == [torch.float32, torch.float64]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)


def by_hand(kind: str, weights: list[NDArray], inputs: NDArray) -> float:
    """A routing term, input by input."""
    found = []
    for layer in weights:
        for i, w in enumerate(layer):
            if kind == "entropy":
                found.append(-sum(x * math.log(x) for x in w))
            elif kind == "sparsity":
                found.append(1 - max(w))
            elif kind == "gini":
                apart = sum(abs(x - y) for x in w for y in w)
                found.append(1 - apart / (2 * len(w)))
            else:
                unit = inputs / np.linalg.norm(inputs, axis=1, keepdims=True)
                like = np.exp(unit @ unit[i])
                expected = (like / like.sum()) @ layer
                found.append(sum(e * math.log(e / x) for e, x in zip(expected, w, strict=True)))
    return float(np.mean(found))


@pytest.mark.parametrize("kind", ["entropy", "sparsity", "gini", "consistency"])
@pytest.mark.parametrize("model", ROUTED)
def test_routing_terms_are_those_of_the_training_pairs(model: str, kind: str) -> None:
    one = config(model, routing_regularizer=kind, lambda_routing=2.0)
    made = network(one)
    weights = [w.detach().numpy() for w in outputs(one, made).weights]
    inputs = double(encode(one, one.task.train))
    if model == "routed_transformer":
        assert isinstance(made, GrokTransformer)
        inputs = (made.tokens(inputs) + made.positions.weight).flatten(1)
    expected = by_hand(kind, weights, inputs.detach().numpy())
    found = terms(one, made).routing
    assert found is not None
    assert found.item() == pytest.approx(expected, rel=1e-9)
    assert expected > 1e-4


def low_share(logits: NDArray, k: int) -> float:
    """Share of the waves with 0 < u² + v² ≤ k² in logits (p, p, C), wave by wave."""
    logits = logits - logits.mean(2, keepdims=True)
    half = P // 2
    power = {}
    for u in range(-half, half + 1):
        for v in range(-half, half + 1):
            wave = np.array(
                [[np.exp(-2j * np.pi * (u * a + v * b) / P) for b in range(P)] for a in range(P)]
            )
            amplitudes = (wave[..., None] * logits).sum((0, 1))
            power[u, v] = float((np.abs(amplitudes) ** 2).sum())
    del power[0, 0]
    low = sum(value for (u, v), value in power.items() if u**2 + v**2 <= k**2)
    return low / sum(power.values())


@pytest.mark.parametrize(("given", "radius"), [(None, 1), (2, 2)])
@pytest.mark.parametrize("model", ARCHITECTURES)
def test_the_spectral_term_is_over_all_pairs(model: str, given: int | None, radius: int) -> None:
    one = config(model, lambda_spectral=1.0, spectral_k=given)
    made = network(one)
    grid = logits_of(made(double(encode(one, one.task.grid)))).detach().numpy()
    expected = 1 - low_share(grid.reshape(P, P, P), radius)
    found = terms(one, made).spectral
    assert found is not None
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("probes", [1, 3])
@pytest.mark.parametrize("model", ["routed", "routed_transformer"])
def test_the_jacobian_term_is_unbiased(model: str, probes: int) -> None:
    one = config(model, lambda_jacobian=1.0, jacobian_probes=probes, n_layers=1)
    made = network(one)
    inputs = double(encode(one, one.task.train))
    function, x = continuous(made, inputs)
    rows = [jacrev(lambda one: function(one[None])[0])(row) for row in x.detach()]
    squares = [row.detach().square().sum().item() for row in rows]
    exact = float(np.mean(squares))
    trained = objective(one)
    torch.manual_seed(0)
    estimates = np.array([trained._jacobian(made).item() for _ in range(120)])
    error = estimates.std(ddof=1) / len(estimates) ** 0.5
    assert abs(estimates.mean() - exact) < 4 * error
    assert error < 0.1 * exact


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_the_loss_is_the_sum_of_its_parts_with_their_factors(model: str) -> None:
    one = everything(model)
    made = network(one)
    found = terms(one, made)
    expected = found.cross_entropy.item()
    for factor, term in ((0.7, found.routing), (0.3, found.spectral), (0.02, found.jacobian)):
        if term is not None:
            expected += factor * term.item()
    assert (found.routing is not None) == (model in ROUTED)
    torch.manual_seed(5)
    assert objective(one)(made).item() == pytest.approx(expected, rel=1e-12)


def gradient(objective: TrainedLoss, model: ArithmeticNetwork) -> Tensor:
    torch.manual_seed(5)
    slopes = torch.autograd.grad(objective(model), list(model.parameters()))
    return torch.cat([slope.flatten() for slope in slopes])


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_the_gradient_is_that_of_finite_differences(model: str) -> None:
    one = everything(model)
    made, trained = network(one), objective(one)
    slope = gradient(trained, made)
    weights = torch.nn.utils.parameters_to_vector(made.parameters()).detach()
    generator, h = torch.Generator().manual_seed(1), 1e-5
    for _ in range(3):
        direction = torch.randn(len(weights), generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            torch.nn.utils.vector_to_parameters(weights + sign * h * direction, made.parameters())
            torch.manual_seed(5)
            values.append(trained(made).item())
        assert (values[0] - values[1]) / (2 * h) == pytest.approx(
            float(slope @ direction), rel=1e-5, abs=1e-7
        )


@pytest.mark.parametrize("operation", ["add", "both"])
@pytest.mark.parametrize("model", ["transformer", "routed_transformer"])
def test_each_prefix_once_leaves_the_loss_and_its_gradient(model: str, operation: str) -> None:
    one = everything(model, operation=operation)
    made, shared, whole = network(one), objective(one), objective(one)
    assert not isinstance(shared._train, Tensor)
    whole._train, whole._grid = (encode(one, pairs) for pairs in (one.task.train, one.task.grid))
    torch.testing.assert_close(
        gradient(shared, made), gradient(whole, made), rtol=1e-10, atol=1e-12
    )
    torch.testing.assert_close(terms(one, made).cross_entropy, whole.terms(made).cross_entropy)


def test_where_later_tokens_are_seen_every_sequence_is_whole() -> None:
    one = everything("routed_transformer", mask="leaky")
    assert isinstance(objective(one)._train, Tensor)
    assert terms(one, network(one)).cross_entropy.item() == pytest.approx(
        cross_entropy(one, network(one)), rel=1e-12
    )
