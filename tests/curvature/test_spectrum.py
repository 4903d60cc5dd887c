from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from hdlib.curvature import ConvergenceError, lanczos, spectrum
from hdlib.curvature.decomposition import _certify


def symmetric(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, n, generator=generator, dtype=torch.float64)
    return a + a.T


def planted(eigenvalues) -> torch.Tensor:
    """A matrix with these eigenvalues and random eigenvectors."""
    values = torch.as_tensor(np.asarray(eigenvalues, dtype=np.float64))
    q = torch.linalg.qr(symmetric(len(values), seed=1))[0]
    matrix = (q * values) @ q.T
    return (matrix + matrix.T) / 2


def check_pairs(matrix: torch.Tensor, result) -> None:
    a, v, values = matrix.numpy(), result.vectors, result.eigenvalues
    scale = np.abs(values).max()
    np.testing.assert_allclose(v.T @ v, np.eye(v.shape[1]), atol=1e-12)
    residuals = np.linalg.norm(a @ v - v * values[result.indices], axis=0)
    assert (residuals <= 1e-10 * scale).all()
    np.testing.assert_allclose(result.residuals, residuals, atol=1e-12 * scale)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 57, 200])
@pytest.mark.parametrize("vectors", [0, 1, 5, 1000])
def test_random_matrices(n, vectors):
    matrix = symmetric(n)
    before = matrix.clone()
    result = spectrum(matrix, vectors=vectors)
    expected = scipy.linalg.eigh(matrix.numpy(), eigvals_only=True)
    np.testing.assert_allclose(result.eigenvalues, expected, atol=1e-12 * np.abs(expected).max())
    ends = list(range(n))
    if 2 * vectors < n:
        ends = ends[:vectors] + ends[n - vectors :]
    assert result.indices.tolist() == ends
    assert result.vectors.shape == (n, len(ends))
    check_pairs(matrix, result)
    for error in (result.trace_error, result.frobenius_error):
        assert error is not None
        assert error < 1e-13
    assert torch.equal(matrix, before)


@pytest.mark.parametrize("n", [1, 5, 900])
def test_zero_matrix(n):
    result = spectrum(torch.zeros(n, n, dtype=torch.float64), vectors=3)
    assert not result.eigenvalues.any()
    assert result.trace_error == result.frobenius_error == 0
    np.testing.assert_allclose(result.vectors.T @ result.vectors, np.eye(min(n, 6)), atol=1e-12)


RNG = np.random.default_rng(0)
N = 1000
PLANTED = {
    "bulk and outliers": np.r_[np.geomspace(1, 50, 10), RNG.normal(0, 0.01, N - 10)],
    "top of multiplicity 12": np.r_[np.full(12, 5.0), RNG.normal(0, 0.1, N - 12)],
    "multiplicity at both ends": np.r_[np.full(12, 5), np.full(9, -5), RNG.uniform(-4, 4, N - 21)],
    "repeated outliers and zeros": np.r_[np.repeat([7, 3, -2], 12), np.zeros(N - 36)],
    "rank 4": np.r_[1, 2, 3, -1, np.zeros(N - 4)],
    "two values": np.r_[np.full(N // 2, 5.0), np.full(N // 2, -1)],
    "identity": np.ones(N),
    "no gap at the ends": np.linspace(-1, 1, N),
}


@pytest.mark.parametrize("vectors", [5, 20])
@pytest.mark.parametrize("name", PLANTED)
def test_planted_spectra(name, vectors):
    matrix, expected = planted(PLANTED[name]), np.sort(PLANTED[name])
    result = spectrum(matrix, vectors=vectors)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.eigenvalues, expected, atol=1e-12 * scale)
    assert result.indices.tolist() == [*range(vectors), *range(N - vectors, N)]
    check_pairs(matrix, result)


def test_lanczos_alone_finds_both_ends():
    """The planted matrices take this path, and it needs no full decomposition."""
    matrix, expected = planted(PLANTED["top of multiplicity 12"]), PLANTED["top of multiplicity 12"]
    pairs = lanczos(matrix, top=5, bottom=5, tol=1e-11, space=400, max_products=400)
    ordered = np.sort(expected)
    np.testing.assert_allclose(pairs.eigenvalues, np.r_[ordered[:5], ordered[-5:]], atol=1e-9)
    np.testing.assert_allclose(pairs.vectors.T @ pairs.vectors, np.eye(10), atol=1e-12)


def test_where_lanczos_does_not_converge_all_vectors_are_computed():
    """Ends without a gap: a quarter of the matrix is too small a space."""
    matrix = torch.diag(torch.linspace(-1, 1, N, dtype=torch.float64))
    limit = N // 4
    with pytest.raises(ConvergenceError, match="10 of 10 eigenpairs did not converge"):
        lanczos(matrix, top=5, bottom=5, tol=1e-11, space=limit, max_products=limit)
    check_pairs(matrix, spectrum(matrix, vectors=5))


def test_closure():
    matrix = symmetric(300)
    values = spectrum(matrix, vectors=0).eigenvalues
    np.testing.assert_allclose(values.sum(), matrix.trace().item(), rtol=1e-10)
    np.testing.assert_allclose((values**2).sum(), (matrix**2).sum().item(), rtol=1e-12)


def test_top():
    matrix = planted(np.arange(20.0))
    result = spectrum(matrix, vectors=4)
    for rank, vector in enumerate(result.top(3).T):
        np.testing.assert_allclose(matrix.numpy() @ vector, (19 - rank) * vector, atol=1e-12)
    assert result.top(0).shape == (20, 0)
    with pytest.raises(ValueError, match="top 5 eigenvectors"):
        result.top(5)
    assert spectrum(matrix, vectors=30).top(20).shape == (20, 20)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("residuals", np.array([0, 0, 0, 0, 1e-8, 0]), "rank 18 has residual 1.00e-08"),
        ("residuals", np.array([0, np.nan, 0, 0, 0, 0]), "rank 1 has residual nan"),
        ("trace_error", 1e-9, "trace of matrix and eigenvalues differ by 1.00e-09"),
        ("frobenius_error", float("nan"), "Frobenius norm of matrix and eigenvalues differ by nan"),
    ],
)
def test_uncertified_spectra_are_refused(field, value, words):
    result = spectrum(planted(np.arange(1.0, 21)), vectors=3)
    with pytest.raises(ConvergenceError, match=words):
        _certify(replace(result, **{field: value}))


def test_a_pair_that_lanczos_missed_is_refused(monkeypatch):
    """The pair of the third largest eigenvalue where that of the second belongs."""
    matrix = planted(np.arange(400.0))
    vectors = torch.linalg.eigh(matrix)[1].numpy()
    wrong = replace(lanczos(matrix, top=2, bottom=2), vectors=vectors[:, [0, 1, 397, 399]])
    monkeypatch.setitem(spectrum.__globals__, "lanczos", lambda *args, **settings: wrong)
    with pytest.raises(ConvergenceError, match=r"rank 398 has residual 1.00e"):
        spectrum(matrix, vectors=2)


def with_entry(row: int, column: int, value: float) -> torch.Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "vectors", "words"),
    [
        (torch.zeros(2, 3, dtype=torch.float64), 1, r"square matrix is needed, got shape \(2, 3\)"),
        (torch.zeros(3, dtype=torch.float64), 1, r"square matrix is needed, got shape \(3,\)"),
        (torch.zeros(0, 0, dtype=torch.float64), 1, "square matrix is needed"),
        (with_entry(0, 0, 1), -1, "vectors must not be negative, got -1"),
        (with_entry(1, 3, 1e-6), 1, r"not symmetric: 1e-06 at \(1, 3\), 0\.0 at \(3, 1\)"),
        (with_entry(2, 1, float("nan")), 1, r"not finite: nan at \(2, 1\)"),
        (with_entry(3, 3, float("inf")), 1, r"not finite: inf at \(3, 3\)"),
    ],
)
def test_errors(matrix, vectors, words):
    with pytest.raises(ValueError, match=words):
        spectrum(matrix, vectors=vectors)
