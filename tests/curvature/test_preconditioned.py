"""The Hessian as Adam sees it, against dense algebra and against Adam itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from hdlib.curvature import PreconditionedOperator, adam_ceiling, adam_diagonal, lanczos

N = 120
GENERATOR = torch.Generator().manual_seed(0)
ROOT = torch.randn(N, N, generator=GENERATOR, dtype=torch.float64)
MATRIX = ROOT + ROOT.T
# Over ten decades, as second moments are.
DIAGONAL = 10 ** (5 * torch.rand(N, generator=GENERATOR, dtype=torch.float64) - 5)


def test_eigenvalues_are_those_of_the_preconditioned_matrix():
    operator = PreconditionedOperator(MATRIX, DIAGONAL)
    assert operator.shape == (N, N)
    expected = np.linalg.eigvals(MATRIX.numpy() / DIAGONAL.numpy()[:, None])
    assert np.abs(expected.imag).max() < 1e-9 * np.abs(expected).max()
    expected = np.sort(expected.real)
    generalised = scipy.linalg.eigh(MATRIX.numpy(), np.diag(DIAGONAL.numpy()), eigvals_only=True)
    dense = operator @ torch.eye(N, dtype=torch.float64)
    assert (dense - dense.T).abs().max() < 1e-12 * dense.abs().max()
    scale = np.abs(expected).max()
    for reference in (expected, generalised):
        np.testing.assert_allclose(
            torch.linalg.eigvalsh(dense), reference, rtol=0, atol=1e-10 * scale
        )
    pairs = lanczos(operator, top=3, bottom=2, tol=1e-10)
    np.testing.assert_allclose(
        pairs.eigenvalues, np.r_[expected[:2], expected[-3:]], rtol=0, atol=1e-9 * scale
    )


def test_single_precision():
    operator = PreconditionedOperator(MATRIX.float(), DIAGONAL)
    assert operator.dtype == torch.float32
    exact = PreconditionedOperator(MATRIX, DIAGONAL)
    block = torch.randn(N, 4, generator=GENERATOR, dtype=torch.float64)
    found, expected = operator @ block.float(), exact @ block
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize(
    ("diagonal", "words"),
    [
        (DIAGONAL[1:], r"diagonal must be .*120.*, got \(119,\)"),
        (torch.diag(DIAGONAL), r"diagonal must be .*120.*, got \(120, 120\)"),
        (DIAGONAL - DIAGONAL.min(), r"diagonal must be positive, its least entry is 0\.0"),
        (-DIAGONAL, r"diagonal must be positive, its least entry is -"),
        (DIAGONAL * float("nan"), "diagonal must be positive, its least entry is nan"),
    ],
)
def test_diagonals_that_do_not_fit(diagonal, words):
    with pytest.raises(ValueError, match=words):
        PreconditionedOperator(MATRIX, diagonal)


def adam(betas: tuple[float, float], eps: float, steps: int, lr: float = 0.01):
    """The last update of PyTorch's Adam on given gradients, all of them, and its state."""
    generator = torch.Generator().manual_seed(3)
    theta = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    optimizer = torch.optim.Adam([theta], lr=lr, betas=betas, eps=eps)
    gradients = torch.randn(steps, 50, generator=generator, dtype=torch.float64)
    before = theta.detach().clone()
    for gradient in gradients:
        before = theta.detach().clone()
        theta.grad = gradient
        optimizer.step()
    return before - theta.detach(), gradients, optimizer.state[theta]


@pytest.mark.parametrize("steps", [1, 2, 30])
@pytest.mark.parametrize(("beta2", "eps"), [(0.98, 1e-8), (0.999, 0.1), (0.5, 1e-3)])
def test_diagonal_without_momentum(steps, beta2, eps):
    """Then the update is lr g / D."""
    update, gradients, state = adam((0.0, beta2), eps, steps)
    diagonal = adam_diagonal(state["exp_avg_sq"], step=steps, beta1=0.0, beta2=beta2, eps=eps)
    torch.testing.assert_close(update, 0.01 * gradients[-1] / diagonal, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 30, 1000])
def test_diagonal_with_momentum(steps):
    """The update is lr m / D for the running mean m = β₁ m + (1 − β₁) g, from 0, not corrected."""
    betas = (0.9, 0.98)
    update, gradients, state = adam(betas, 1e-8, steps)
    diagonal = adam_diagonal(state["exp_avg_sq"], step=steps, beta1=betas[0], beta2=betas[1])
    powers = torch.arange(steps - 1, -1, -1, dtype=torch.float64)[:, None]
    mean = (0.1 * 0.9**powers * gradients).sum(0)
    torch.testing.assert_close(update, 0.01 * mean / diagonal, rtol=1e-11, atol=1e-15)


def test_diagonal_in_the_limit():
    """Of a constant gradient: |g| + ε; in double precision whatever the state's."""
    second = torch.tensor([4.0, 0.25], dtype=torch.float32)
    found = adam_diagonal(second, step=10**6, beta1=0.9, beta2=0.98, eps=0.5)
    torch.testing.assert_close(found, torch.tensor([2.5, 1.0], dtype=torch.float64))
    for step in (0, -1):
        with pytest.raises(ValueError, match=f"step={step}: must be at least 1"):
            adam_diagonal(second, step=step, beta1=0.9, beta2=0.98)


def descend(curvature: Tensor, lr: float, beta1: float, steps: int = 1000) -> Tensor:
    """|θ| after gradient descent with a running mean of gradients on ½ h θ², for each h."""
    theta, mean = torch.ones_like(curvature), torch.zeros_like(curvature)
    for _ in range(steps):
        mean = beta1 * mean + (1 - beta1) * curvature * theta
        theta = theta - lr * mean
    return theta.abs()


@pytest.mark.parametrize(("beta1", "factor"), [(0.0, 2), (0.5, 6), (0.9, 38), (0.98, 198)])
def test_ceiling_is_where_descent_diverges(beta1, factor):
    lr = 1e-3
    ceiling = adam_ceiling(lr, beta1)
    assert ceiling == pytest.approx(factor / lr)
    below, above = descend(torch.tensor([0.99, 1.01]).double() * ceiling, lr, beta1)
    assert below < 0.1
    assert above > 10


def test_adam_itself_diverges_at_the_ceiling():
    """With ε far above the gradients its diagonal is ε, once β₁ᵗ is gone."""
    lr, beta1, eps = 1e-3, 0.9, 1e6
    growth = []
    for share in (0.95, 1.05):
        h = share * adam_ceiling(lr, beta1) * eps
        theta = torch.nn.Parameter(torch.tensor([1e-100], dtype=torch.float64))
        optimizer = torch.optim.Adam([theta], lr=lr, betas=(beta1, 0.999), eps=eps)
        sizes = []
        for _ in range(200):
            theta.grad = h * theta.detach()
            optimizer.step()
            sizes.append(abs(theta.item()))
        assert h * max(sizes) < 1e-6 * eps
        growth.append(max(sizes[190:]) / max(sizes[140:150]))
    assert growth[0] < 0.1
    assert growth[1] > 1e5
