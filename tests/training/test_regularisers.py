from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import nn

from hdlib.measures.fourier import gini
from hdlib.training.regularisers import (
    SUBSAMPLE,
    low_frequency_share,
    routing_consistency,
    routing_entropy,
    routing_gini,
    routing_sparsity,
    squared_jacobian_norm,
)

DECISIVE = torch.eye(4)[[0, 2, 1, 1, 3]]
UNIFORM = torch.full((5, 4), 0.25)


def routes(n_layers: int, n: int, n_heads: int, seed: int, sharpness: float = 1.0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_layers, n, n_heads)
    logits = sharpness * torch.randn(shape, generator=generator, dtype=torch.float64)
    return list(logits.softmax(2))


@pytest.mark.parametrize(
    ("regulariser", "least", "most"),
    [(routing_entropy, 0, math.log(4)), (routing_sparsity, 0, 3 / 4), (routing_gini, 1 / 4, 1)],
)
def test_decisive_and_uniform_routes(regulariser, least, most):
    assert regulariser([DECISIVE, DECISIVE]).item() == pytest.approx(least, abs=1e-6)
    assert regulariser([UNIFORM]).item() == pytest.approx(most)
    assert regulariser([DECISIVE, UNIFORM]).item() == pytest.approx((least + most) / 2)


@given(n=st.integers(1, 6), n_heads=st.integers(1, 6), seed=st.integers(0, 99))
def test_regularisers_against_each_input_alone(n, n_heads, seed):
    weights = routes(2, n, n_heads, seed, sharpness=5.0)
    rows = [row.numpy() for w in weights for row in w]
    assert routing_entropy(weights).item() == pytest.approx(np.mean([entropy(r) for r in rows]))
    assert routing_sparsity(weights).item() == pytest.approx(np.mean([1 - max(r) for r in rows]))
    assert routing_gini(weights).item() == pytest.approx(np.mean([1 - gini(r) for r in rows]))


@pytest.mark.parametrize("regulariser", [routing_entropy, routing_sparsity, routing_gini])
def test_descent_makes_routes_decisive(regulariser):
    logits = routes(1, 8, 4, seed=0)[0].log().requires_grad_()
    start = regulariser([logits.softmax(1)])
    for _ in range(30):
        (slope,) = torch.autograd.grad(regulariser([logits.softmax(1)]), logits)
        logits = (logits - 10 * slope).detach().requires_grad_()
    end = logits.softmax(1)
    assert regulariser([end]) < start
    assert end.max(1).values.mean() > 0.9


def test_gradients_are_finite_where_a_weight_is_zero():
    """A softmax of logits far apart is exactly one-hot in float32."""
    logits = (1e4 * DECISIVE).requires_grad_()
    weights = logits.softmax(1)
    assert weights.min() == 0
    terms = [routing_entropy([weights]), routing_consistency([weights], torch.randn(5, 3))]
    for term in (*terms, routing_sparsity([weights]), routing_gini([weights])):
        assert torch.isfinite(term)
        (slope,) = torch.autograd.grad(term, logits, retain_graph=True)
        assert torch.isfinite(slope).all()


@given(n=st.integers(2, 5), seed=st.integers(0, 99), temperature=st.floats(0.05, 5))
def test_consistency_by_its_definition(n, seed, temperature):
    weights = routes(2, n, 3, seed)
    x = np.random.default_rng(seed).standard_normal((n, 4))
    total = 0.0
    for w in (layer.numpy() for layer in weights):
        for i in range(n):
            cosines = [x[i] @ y / np.linalg.norm(x[i]) / np.linalg.norm(y) for y in x]
            similar = np.exp(np.array(cosines) / temperature)
            total += entropy(similar @ w / similar.sum(), w[i]) / (2 * n)
    found = routing_consistency(weights, torch.from_numpy(x), temperature=temperature)
    assert found.item() == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_consistency_is_zero_for_equal_routes_and_leaves_embeddings_alone():
    x = torch.randn(5, 3, requires_grad=True)
    w = torch.tensor([[0.7, 0.2, 0.1]], requires_grad=True)
    term = routing_consistency([w.expand(5, 3)], x)
    assert term.item() == pytest.approx(0, abs=1e-7)
    assert torch.autograd.grad(term, [w, x], allow_unused=True)[1] is None


def test_consistency_of_many_inputs_is_that_of_a_fixed_part():
    n = SUBSAMPLE + 50
    w = routes(1, n, 3, seed=1)[0].requires_grad_()
    x = torch.randn(n, 4)
    before = torch.get_rng_state()
    term = routing_consistency([w], x)
    assert torch.equal(before, torch.get_rng_state())
    assert routing_consistency([w], x).item() == term.item()
    assert routing_consistency([w], x, seed=1).item() != term.item()
    (slope,) = torch.autograd.grad(term, w)
    assert (slope.abs().sum(1) > 0).sum() == SUBSAMPLE


def one_hot_sums(p: int) -> torch.Tensor:
    a = torch.arange(p)
    return torch.eye(p, dtype=torch.float64)[(a[:, None] + a) % p]


def test_low_frequency_share_of_a_perfect_sum():
    """Its power lies evenly on (u, u), u ≠ 0: those with 2u² ≤ k² are low."""
    p, k = 31, 10
    low = 2 * sum(2 * u**2 <= k**2 for u in range(1, p // 2 + 1))
    expected = low / (p - 1)
    logits = one_hot_sums(p)
    assert low_frequency_share(logits, k).item() == pytest.approx(expected, rel=1e-12)
    relabelled = logits[:, :, torch.randperm(p, generator=torch.Generator().manual_seed(0))]
    seen_by_softmax = 7 * relabelled + torch.randn(p, p, 1) + torch.randn(p)
    assert low_frequency_share(seen_by_softmax, k).item() == pytest.approx(expected, rel=1e-6)


@given(p=st.integers(3, 9), classes=st.integers(2, 4), seed=st.integers(0, 99), data=st.data())
def test_low_frequency_share_against_the_fast_fourier_transform(p, classes, seed, data):
    k = data.draw(st.integers(1, (p - 1) // 2))
    logits = np.random.default_rng(seed).standard_normal((p, p, classes)) + 3
    power = np.abs(np.fft.fft2(logits - logits.mean(2, keepdims=True), axes=(0, 1))) ** 2
    power = power.sum(2)
    power[0, 0] = 0
    f = np.rint(p * np.fft.fftfreq(p))
    low = f[:, None] ** 2 + f**2 <= k**2
    found = low_frequency_share(torch.from_numpy(logits), k).item()
    assert found == pytest.approx(power[low].sum() / power.sum(), rel=1e-10)


def test_low_frequency_share_of_random_labels_is_that_of_the_grid():
    p, k = 53, 13
    labels = torch.randint(p, (p, p), generator=torch.Generator().manual_seed(0))
    f = torch.arange(-26, 27)
    cells = ((f[:, None] ** 2 + f**2 <= k**2).sum().item() - 1) / (p**2 - 1)
    assert low_frequency_share(torch.eye(p)[labels], k).item() == pytest.approx(cells, abs=0.01)


def test_low_frequency_share_is_differentiable():
    logits = torch.randn(5, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: low_frequency_share(x, 1), logits)


def quadratic(x: torch.Tensor) -> torch.Tensor:
    """Three outputs of two inputs, with the Jacobian [[2x, 0], [y, x], [0, 1]]."""
    return torch.stack([x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1]], 1)


def test_jacobian_norm_is_unbiased():
    x = torch.tensor([[1.0, 2.0], [0.5, -1.0]], dtype=torch.float64)
    expected = (5 * x[:, 0] ** 2 + x[:, 1] ** 2 + 1).mean().item()
    generator = torch.Generator().manual_seed(0)
    draws = [
        squared_jacobian_norm(quadratic, x, probes=2, generator=generator).item()
        for _ in range(2000)
    ]
    error = np.std(draws) / 2000**0.5
    assert abs(np.mean(draws) - expected) < 4 * error < 0.1 * expected


def test_jacobian_norm_can_be_minimised_and_reaches_embeddings():
    """For a linear map with orthonormal columns scaled by s, ‖Jᵀv‖² is s² times that for s = 1."""
    model = nn.Linear(3, 2, bias=False).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    term = squared_jacobian_norm(model, x, probes=1)
    (slope,) = torch.autograd.grad(term, model.weight)
    assert (slope * model.weight).sum().item() == pytest.approx(2 * term.item())
    embedded = x.clone().requires_grad_()
    penalty = squared_jacobian_norm(lambda e: e**2, 2 * embedded, probes=1)
    (moved,) = torch.autograd.grad(penalty, embedded)
    assert (moved * embedded).sum().item() == pytest.approx(2 * penalty.item())


def test_jacobian_norm_of_attention_can_be_minimised():
    project = nn.Linear(4, 4)

    def attend(x: torch.Tensor) -> torch.Tensor:
        q = project(x)[:, None]
        return F.scaled_dot_product_attention(q, q, q, is_causal=True)[:, 0, -1]

    x = torch.randn(2, 3, 4)
    squared_jacobian_norm(attend, x, probes=1).backward()
    assert project.weight.grad is not None
    assert project.weight.grad.abs().max() > 0


def test_errors():
    with pytest.raises(ValueError, match=r"shapes \[\]: must be \(n, n_heads\)"):
        routing_entropy([])
    with pytest.raises(ValueError, match=r"shapes \[\(5, 4\), \(2, 4\)\]"):
        routing_gini([UNIFORM, UNIFORM[:2]])
    with pytest.raises(ValueError, match=r"inputs of shape \(4, 3\): must be \(5, d\)"):
        routing_consistency([UNIFORM], torch.ones(4, 3))
    with pytest.raises(ValueError, match="temperature=0: must be positive"):
        routing_consistency([UNIFORM], torch.ones(5, 3), temperature=0)
    with pytest.raises(ValueError, match=r"shape \(5, 4, 2\): must be \(p, p, C\)"):
        low_frequency_share(torch.ones(5, 4, 2), 1)
    for k in (0, 3):
        with pytest.raises(ValueError, match=f"k={k}: must be from 1 to 2 for p=5"):
            low_frequency_share(torch.randn(5, 5, 2), k)
    with pytest.raises(ValueError, match="no power"):
        low_frequency_share(torch.ones(5, 5, 2), 1)
    with pytest.raises(ValueError, match="probes=0: must be at least 1"):
        squared_jacobian_norm(quadratic, torch.ones(1, 2), probes=0)
