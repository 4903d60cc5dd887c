from __future__ import annotations

import numpy as np
import pytest
import torch

from hdlib.curvature.trace import trace


def planted(eigenvalues) -> torch.Tensor:
    """A matrix with these eigenvalues and random eigenvectors."""
    values = torch.as_tensor(np.asarray(eigenvalues, dtype=np.float64))
    generator = torch.Generator().manual_seed(1)
    q = torch.linalg.qr(torch.randn(2 * [len(values)], generator=generator).double())[0]
    matrix = (q * values) @ q.T
    return (matrix + matrix.T) / 2


def hutchinson(matrix: torch.Tensor, products: int, seed: int) -> float:
    """The plain estimator, mean of gᵀAg."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (len(matrix), products))
    return float((signs * (matrix.numpy() @ signs)).sum() / products)


@pytest.mark.parametrize("rank", [0, 1, 5, 10])
def test_low_rank_is_exact(rank):
    """Up to a third of the products, with eigenvalues of both signs and over ten decades."""
    values = np.zeros(200)
    values[:rank] = (-1.0) ** np.arange(rank) * 10.0 ** -np.arange(rank)
    for seed in range(5):
        found = trace(planted(values), products=30, seed=seed)
        assert found.value == pytest.approx(values.sum(), abs=1e-12)
        assert found.standard_error < 1e-12
        assert found.products == 30


def test_a_basis_of_the_whole_space_is_exact():
    matrix = planted(np.random.default_rng(0).normal(size=12))
    found = trace(matrix, products=90)
    assert found.value == pytest.approx(matrix.trace().item(), abs=1e-12)
    assert found.standard_error < 1e-12
    assert found.products == 2 * 12 + 30


@pytest.mark.parametrize("value", [0.0, 2.5])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_small_identities(n, value):
    matrix = value * torch.eye(n, dtype=torch.float64)
    found = trace(matrix, products=9)
    assert (found.value, found.standard_error) == pytest.approx((n * value, 0), abs=1e-12)


def test_errors_fall_faster_than_those_of_hutchinson():
    """λᵢ = 1/i, 24 seeds: 1/m against 1/√m (Meyer et al. 2021, theorem 1)."""
    matrix = planted(1 / np.arange(1.0, 401))
    truth = matrix.trace().item()
    budgets = [12, 48, 192]
    table = []
    print("\nproducts  Hutch++  Hutchinson  (root mean square relative errors)")
    for products in budgets:
        ours = [trace(matrix, products=products, seed=seed).value for seed in range(24)]
        plain = [hutchinson(matrix, products, seed) for seed in range(24)]
        errors = [np.sqrt(np.mean((np.array(e) / truth - 1) ** 2)) for e in (ours, plain)]
        print(f"{products:8d}  {errors[0]:.5f}  {errors[1]:.5f}")
        table.append(errors)
    (ours_slope, plain_slope) = np.polyfit(np.log(budgets), np.log(table), 1)[0]
    print(f"slopes    {ours_slope:.2f}     {plain_slope:.2f}")
    assert ours_slope < -0.9
    assert -0.75 < plain_slope < -0.25
    assert table[-1][0] < table[-1][1] / 4


@pytest.mark.parametrize("name", ["decaying", "indefinite"])
def test_standard_errors_are_honest(name):
    """Over 200 seeds: t with 15 degrees of freedom is within 2 in 94%, within 3 in 99%."""
    rng = np.random.default_rng(5)
    values = {"decaying": 1 / np.arange(1.0, 151), "indefinite": rng.normal(size=150)}[name]
    matrix = planted(values)
    found = [trace(matrix, products=48, seed=seed) for seed in range(200)]
    scores = np.array([(f.value - values.sum()) / f.standard_error for f in found])
    within = (np.abs(scores) < 2).mean(), (np.abs(scores) < 3).mean()
    print(f"\n{name}: within 2 and 3 errors", within)
    assert 0.85 < within[0] < 0.99
    assert within[1] > 0.95
    assert abs(scores.mean()) < 0.3


class Counted:
    """An operator that is no tensor and counts its columns."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix
        self.shape = tuple(matrix.shape)
        self.device, self.dtype = matrix.device, matrix.dtype
        self.columns = 0

    def __matmul__(self, block: torch.Tensor) -> torch.Tensor:
        self.columns += block.shape[1]
        return self.matrix @ block


@pytest.mark.parametrize(("n", "products", "used"), [(50, 4, 4), (50, 31, 31), (5, 31, 21)])
def test_products_are_counted_and_the_seed_decides(n, products, used):
    operator = Counted(planted(np.arange(float(n))))
    result = trace(operator, products=products, seed=1)
    assert operator.columns == result.products == used
    assert trace(operator, products=products, seed=1) == result
    assert trace(operator, products=products, seed=2) != result


@pytest.mark.parametrize(
    ("matrix", "products", "words"),
    [
        (torch.zeros(2, 3), 9, r"square matrix is needed, got shape \(2, 3\)"),
        (torch.zeros(0, 0), 9, r"square matrix is needed, got shape \(0, 0\)"),
        (torch.zeros(5), 9, r"square matrix is needed, got shape \(5,\)"),
        (torch.eye(5).double(), 3, "products must be at least 4, got 3"),
        (torch.eye(5).double() * float("inf"), 9, "product with the matrix is not finite"),
    ],
)
def test_errors(matrix, products, words):
    with pytest.raises(ValueError, match=words):
        trace(matrix, products=products)
