"""The local learning coefficient where it is known, and against another implementation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hdlib.curvature import ConvergenceError
from hdlib.measures import learning_coefficient

STEP, GAMMA = 5e-3, 10.0


def half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum(1).mean() / 2


def regression(n: int = 200, d: int = 6) -> tuple[nn.Linear, tuple[Tensor, Tensor], Tensor]:
    """A linear regression at its minimum, and the eigenvalues of its Hessian."""
    torch.manual_seed(0)
    x = torch.randn(n, d) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1, 0.0][:d])
    model = nn.Linear(d, 1, bias=False)
    return model, (x, model(x).detach()), torch.linalg.eigvalsh(x.T @ x / n)


def expected(h: Tensor, *, beta: float, step: float, gamma: float) -> float:
    """Of Langevin dynamics with steps of this size on a parabola: exact."""
    a = beta * h + gamma
    return float((beta * h / a / (1 - step * a / 4)).sum() / 2)


def test_parabola():
    model, data, h = regression()
    beta = 200 / math.log(200)
    found = learning_coefficient(
        *(model, half_square, data),
        step_size=STEP,
        localisation=GAMMA,
        chains=8,
        burn_in=100,
        draws=1_000,
    )
    known = expected(h, beta=beta, step=STEP, gamma=GAMMA)
    assert found.beta == beta
    assert abs(found.value - known) < 4 * found.standard_error
    assert found.standard_error < 0.05 * known
    assert found.losses.shape == (8, 1_100)


def test_some_of_the_weights():
    model, data, h = regression(d=3)
    keep = torch.tensor([1.0, 0.0, 1.0])
    settings: dict[str, Any] = {
        "step_size": STEP,
        "localisation": GAMMA,
        "burn_in": 100,
        "draws": 1_000,
    }
    found = learning_coefficient(
        model, half_square, data, within=lambda v: keep * v, chains=8, **settings
    )
    x = data[0][:, [0, 2]]
    h = torch.linalg.eigvalsh(x.T @ x / len(x))
    known = expected(h, beta=found.beta, step=STEP, gamma=GAMMA)
    assert abs(found.value - known) < 4 * found.standard_error
    assert found.standard_error < 0.05 * known


class Product(nn.Module):
    """x ↦ Π w x: its minimum Π w = 0 is singular at w = 0."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(count))

    def forward(self, x: Tensor) -> Tensor:
        return self.w.prod() * x


def singular(count: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    x = torch.ones(100, 1)
    return Product(count), (x, 0 * x)


def posterior_mean(count: int, beta: float, gamma: float) -> float:
    """E[nβ L] of the localised posterior of `Product`, by quadrature."""
    grid = np.linspace(-6, 6, 241) / math.sqrt(gamma)
    axes = np.meshgrid(*[grid] * count, indexing="ij")
    loss = np.prod(axes, axis=0) ** 2 / 2
    weight = np.exp(-beta * loss - gamma / 2 * sum(a**2 for a in axes))
    return float(beta * (loss * weight).sum() / weight.sum())


@pytest.mark.parametrize("count", [2, 3])
def test_a_singular_minimum(count):
    """Less than half of the number of weights, though all of them move the function."""
    model, data = singular(count)
    settings: dict[str, Any] = {"step_size": 0.02, "localisation": 1.0, "beta": 10.0}
    found = learning_coefficient(
        model, half_square, data, chains=8, burn_in=100, draws=1_000, **settings
    )
    known = posterior_mean(count, 10.0, 1.0)
    assert known < 0.35
    assert abs(found.value - known) < 4 * found.standard_error + 0.05 * known
    assert found.standard_error < 0.15 * known


@pytest.mark.filterwarnings("ignore")
def test_against_devinterp():
    """On the singular model, with the same settings, within both errors."""
    sampler = pytest.importorskip("devinterp.slt.sampler")
    sgld = pytest.importorskip("devinterp.optim.sgld")
    model, data = singular(2)
    ours = learning_coefficient(
        *(model, half_square, data),
        step_size=0.02,
        localisation=1.0,
        beta=10.0,
        chains=6,
        burn_in=100,
        draws=1_500,
    )
    dataset = torch.utils.data.TensorDataset(*data)
    theirs = sampler.estimate_learning_coeff_with_summary(
        model,
        torch.utils.data.DataLoader(dataset, batch_size=len(dataset)),
        evaluate=lambda m, batch: half_square(m(batch[0]), batch[1]),
        sampling_method=sgld.SGLD,
        optimizer_kwargs={"lr": 0.02, "localization": 1.0, "nbeta": 10.0},
        num_chains=6,
        num_draws=1_500,
        num_burnin_steps=100,
        init_loss=0.0,
        seed=1,
        verbose=False,
    )
    error = math.hypot(ours.standard_error, float(theirs["llc/std"]) / math.sqrt(6))
    assert abs(ours.value - float(theirs["llc/mean"])) < 4 * error
    assert error < 0.15 * ours.value


def test_batches_and_seeds():
    model, data, _ = regression()
    settings: dict[str, Any] = {
        "step_size": STEP,
        "localisation": GAMMA,
        "burn_in": 10,
        "draws": 40,
    }

    def drawn(**changes):
        return learning_coefficient(model, half_square, data, **(settings | changes)).losses

    whole, again, other = drawn(), drawn(), drawn(seed=1)
    assert (whole == again).all()
    assert (whole != other)[:, 1:].all()
    assert (whole[0, 1:] != whole[1, 1:]).all()
    assert (drawn(batch_size=20) != whole)[:, 1:].all()
    in_parts = [tuple(part[:150] for part in data), tuple(part[150:] for part in data)]
    split = learning_coefficient(model, half_square, in_parts, **settings).losses
    assert np.allclose(split, whole, rtol=1e-3)


def test_the_model_stays():
    model, data, _ = regression()
    before = model.weight.clone()
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    settings: dict[str, Any] = {"step_size": STEP, "localisation": GAMMA, "burn_in": 0, "draws": 5}
    for within in (None, lambda vector: vector):
        learning_coefficient(model, half_square, data, within=within, **settings)
    assert (model.weight == before).all()
    assert (torch.random.get_rng_state() == state).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"step_size": 0.0}, "step_size=0.0: must be positive"),
        ({"localisation": -1.0}, "localisation=-1.0"),
        ({"beta": 0.0}, "beta=0.0"),
        ({"batch_size": 201}, "there are 200 samples"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"chains": 0}, "chains=0"),
        ({"draws": 0}, "draws=0"),
        ({"burn_in": -1}, "burn_in=-1"),
        ({"within": lambda v: 2 * v}, "orthogonal projection"),
        ({"within": lambda v: torch.cat([v[1:], v[:1]])}, "orthogonal projection"),
    ],
)
def test_impossible_arguments(changes, told):
    model, data, _ = regression()
    settings: dict[str, Any] = {"step_size": STEP, "localisation": GAMMA} | changes
    with pytest.raises(ValueError, match=told):
        learning_coefficient(model, half_square, data, **settings)


def test_running_away():
    model, data, _ = regression()
    with pytest.raises(ConvergenceError, match=r"step_size=10.0: the chain ran away"):
        learning_coefficient(
            model, half_square, data, step_size=10.0, localisation=GAMMA, draws=400
        )
