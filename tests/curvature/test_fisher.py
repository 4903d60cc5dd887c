from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import EmpiricalFisherOperator, fisher_trace
from hdlib.models import ModularTransformer
from hdlib.training import logits_of


def setting(n: int = 30) -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return model, x, torch.randint(3, (n,), generator=generator)


def squared_norms(model: nn.Module, loss, x: Tensor, y: Tensor) -> np.ndarray:
    """One sample after the other, by backward passes."""
    found = []
    for n in range(len(x)):
        model.zero_grad()
        loss(model(x[n : n + 1]), y[n : n + 1]).backward()
        parts = [p.grad for p in model.parameters() if p.grad is not None]
        found.append(sum(float((part**2).sum()) for part in parts))
    return np.array(found)


def of_first(outputs, targets):
    return F.cross_entropy(logits_of(outputs), targets)


class TwoOutputs(nn.Module):
    """Logits, and something else beside them."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        logits = self.inner(x)
        return logits, [logits.softmax(1)]


class LooksAtNumbers(nn.Module):
    """Goes its way by the value of an input, which cannot be batched."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.inner(row) if row[0] > 0 else self.inner(-row) for row in x])


@pytest.mark.parametrize("wrap", [lambda model: model, TwoOutputs, LooksAtNumbers])
def test_against_samples_one_by_one(wrap):
    inner, x, y = setting()
    model = wrap(inner)
    each = squared_norms(model, of_first, x, y)
    found = fisher_trace(model, of_first, [(x[:17], y[:17]), (x[17:], y[17:])])
    assert found.value == pytest.approx(each.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(each.std(ddof=1) / len(x) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_trace_of_the_operator(weighted):
    """With class weights and ignored targets too."""
    model, x, y = setting()
    loss = nn.CrossEntropyLoss()
    if weighted:
        y[::4] = -100
        loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
    operator = EmpiricalFisherOperator(model, loss, (x, y))
    matrix = operator @ torch.eye(operator.shape[0], dtype=torch.float64)
    found = fisher_trace(model, loss, (x, y))
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-12)
    assert found.standard_error > 0


def test_of_some_parameters_of_a_transformer_in_single_precision():
    torch.manual_seed(0)
    model = ModularTransformer(5, width=8, n_heads=2)
    tokens = torch.cartesian_prod(torch.arange(5), torch.arange(5), torch.tensor([5]))
    y = tokens[:, :2].sum(1) % 5
    before = {name: p.clone() for name, p in model.named_parameters()}
    name = next(iter(before))
    operator = EmpiricalFisherOperator(model, F.cross_entropy, (tokens, y), parameters=[name])
    matrix = operator @ torch.eye(operator.shape[0], dtype=torch.float64)
    found = fisher_trace(
        model, F.cross_entropy, (tokens, y), parameters=[name], dtype=torch.float32
    )
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-5)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


def test_standard_error_covers_the_mean_of_a_population():
    """Half the squared norms are 0 and half are 4: mean 2, deviation 2."""
    model = nn.Linear(1, 1, bias=False)
    generator = torch.Generator().manual_seed(0)
    within = 0
    for _ in range(100):
        x = 2.0 * torch.randint(2, (50, 1), generator=generator)
        found = fisher_trace(model, lambda f, y: (f * y).mean(), (x, torch.ones(50, 1)))
        assert found.standard_error == pytest.approx(2 / 50**0.5, rel=0.1)
        within += abs(found.value - 2) < 2 * found.standard_error
    assert 88 <= within <= 100


def test_one_sample_has_no_error():
    model, x, y = setting(1)
    assert math.isnan(fisher_trace(model, F.cross_entropy, (x, y)).standard_error)


def test_errors_are_those_of_the_inputs():
    model, x, y = setting()
    with pytest.raises(ValueError, match="take the mean"):
        fisher_trace(model, nn.CrossEntropyLoss(reduction="sum"), (x, y))
    with pytest.raises(ValueError, match="pass one that picks it"):
        fisher_trace(TwoOutputs(model), F.cross_entropy, (x, y))
