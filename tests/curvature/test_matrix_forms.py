"""Matrices in the forms that people have them in: taken for what they are, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import aslinearoperator

from hdlib import ConvergenceError, density, lanczos, spectrum, trace

from .operators import Operator, planted

N = 80
WHOLE = np.round(5 * planted(np.r_[np.geomspace(2, 50, 6), np.zeros(N - 7), -9])).astype(int)
TAKEN: dict[str, Any] = {
    "tensor": torch.from_numpy(WHOLE).double(),
    "float32 tensor": torch.from_numpy(WHOLE).float(),
    "bfloat16 tensor": torch.from_numpy(WHOLE).to(torch.bfloat16),
    "int64 tensor": torch.from_numpy(WHOLE),
    "tensor with a gradient": torch.from_numpy(WHOLE).double().requires_grad_(),
    "array": WHOLE.astype(np.float64),
    "float32 array": WHOLE.astype(np.float32),
    "float16 array": WHOLE.astype(np.float16),
    "int8 array": WHOLE.astype(np.int8),
    "big-endian array": WHOLE.astype(">f8"),
    "Fortran order": np.asfortranarray(WHOLE.astype(np.float64)),
    "reversed twice": WHOLE.astype(np.float64)[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": np.broadcast_to(WHOLE.astype(np.float64), WHOLE.shape),
    "CSR array": scipy.sparse.csr_array(WHOLE.astype(np.float64)),
    "COO matrix of integers": scipy.sparse.coo_matrix(WHOLE),
    "BSR array, float32": scipy.sparse.bsr_array(WHOLE.astype(np.float32)),
    "SciPy operator": aslinearoperator(WHOLE.astype(np.float64)),
    "SciPy operator of integers": aslinearoperator(WHOLE),
    "operator": Operator(WHOLE),
}


@pytest.mark.parametrize("form", TAKEN)
def test_taken(form):
    matrix = TAKEN[form]
    values, vectors = np.linalg.eigh(WHOLE)
    found = spectrum(matrix, top=4, bottom=1)
    expected = values if found.unresolved == 0 else values[[0, -4, -3, -2, -1]]
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-6 * values[-1])
    assert found.dtype == "float64"
    for k in range(4):
        assert abs(found.top(4)[:, k] @ vectors[:, -1 - k]) == pytest.approx(1, abs=1e-6)
    assert abs(found.bottom(1)[:, 0] @ vectors[:, 0]) == pytest.approx(1, abs=1e-6)
    total = trace(matrix, products=90)
    assert abs(total.value - WHOLE.trace()) <= 5 * total.standard_error + 1e-6
    masses = density(matrix, steps=N)
    assert masses.trace() == pytest.approx(density(TAKEN["array"], steps=N).trace(), rel=1e-9)
    assert f"{N} eigenvalues" in repr(found)
    assert f"{N} eigenvalues" in repr(masses)


NAN = WHOLE.astype(np.float64)
NAN[3, 5] = NAN[5, 3] = np.nan
SKEW = WHOLE.astype(np.float64)
SKEW[1, 3] += 40
WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "complex array": (WHOLE + 0j, ValueError, "a real matrix is needed, got complex128"),
    "complex tensor": (torch.from_numpy(WHOLE + 0j), ValueError, "got torch.complex128"),
    "complex sparse": (scipy.sparse.csr_array(WHOLE + 0j), ValueError, "got complex128"),
    "complex SciPy operator": (aslinearoperator(WHOLE + 0j), ValueError, "got complex128"),
    "text": (np.array([["a"]]), ValueError, "a matrix of numbers that float64 holds"),
    "objects": (WHOLE.astype(object), ValueError, "a matrix of numbers that float64 holds"),
    "long double": (WHOLE.astype(np.longdouble), ValueError, "that float64 holds is needed, got"),
    "large integers": (np.full((2, 2), 2**53 + 1), ValueError, "hold all integers up to 90071992"),
    "large integer tensor": (torch.full((2, 2), 2**53 + 1), ValueError, "hold all integers up to"),
    "list": (
        [[1.0]],
        TypeError,
        "or an operator with shape, device, dtype and @ is needed, got li",
    ),
    "none": (None, TypeError, "is needed, got NoneType"),
    "wide": (WHOLE[:3], ValueError, r"a square matrix is needed, got shape \(3, 80\)"),
    "wide sparse": (scipy.sparse.csr_array(WHOLE[:3]), ValueError, r"got shape \(3, 80\)"),
    "empty": (np.zeros((0, 0)), ValueError, r"a square matrix is needed, got shape \(0, 0\)"),
    "NaN": (NAN, ValueError, "not finite"),
    "NaN, operator": (Operator(NAN), ValueError, "a product with the matrix is not finite"),
    "NaN, sparse": (scipy.sparse.csr_array(NAN), ValueError, "the matrix is not finite"),
    "NaN, float32": (torch.from_numpy(NAN).float(), ValueError, "not finite"),
    "infinite": (
        Operator(np.full((N, N), np.inf)),
        ValueError,
        "a product with the matrix is not finite",
    ),
    "skew": (np.triu(WHOLE), ValueError, "the matrix is not symmetric"),
    "skew, sparse": (scipy.sparse.csr_array(SKEW), ValueError, "A − Aᵀ has an entry of 4.00e"),
    "skew, operator": (Operator(np.triu(WHOLE)), ValueError, "uᵀAv and vᵀAu differ by"),
    "skew, SciPy operator": (aslinearoperator(np.triu(WHOLE)), ValueError, "differ by"),
    "half precision": (
        Operator(WHOLE, torch.float16),
        ValueError,
        r"float64 or float32 operator is needed, got torch\.float16",
    ),
}


@pytest.mark.parametrize("form", WRONG)
@pytest.mark.parametrize("function", [spectrum, lanczos, trace, density])
def test_refused(form, function):
    matrix, error, words = WRONG[form]
    ends: dict[str, Any] = {"top": 1, "bottom": 1} if function in (spectrum, lanczos) else {}
    if isinstance(matrix, np.ndarray | torch.Tensor) and function is not spectrum:
        # The entries of a whole matrix are looked at by `spectrum` alone; products show the rest.
        words = words.replace("the matrix is not symmetric", "differ by")
    with pytest.raises(error, match=words):
        function(matrix, **ends)


def test_how_many_must_be_said_for_an_operator():
    operator = Operator(WHOLE)
    choices: list[dict[str, Any]] = [{}, {"vectors": 5}]
    for settings in choices:
        with pytest.raises(ValueError, match=r"spectrum\(operator, top=20, bottom=20\)"):
            spectrum(operator, **settings)
    assert operator.products == 0
    one_end = spectrum(operator, top=2)
    assert (one_end.lowest, one_end.highest, one_end.unresolved) == (0, 2, N - 2)
    assert spectrum(TAKEN["array"], bottom=3).indices.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="vectors=3 stands for both top and bottom"):
        spectrum(TAKEN["array"], top=3, vectors=3)
    for name in ("top", "bottom", "vectors"):
        with pytest.raises(ValueError, match=f"{name} must not be negative, got -1"):
            spectrum(TAKEN["array"], **{name: -1})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="tol, seed: only for operators"):
        spectrum(TAKEN["array"], tol=1e-3, seed=1)


def test_options_reach_lanczos():
    settings: dict[str, Any] = {"tol": 1e-12, "max_products": 30, "mark": True, "seed": 3}
    found = spectrum(Operator(planted(np.linspace(-1, 1, N))), top=5, bottom=5, **settings)
    assert found.tol == 1e-12
    assert not found.certified.all()
    with pytest.raises(ConvergenceError):
        spectrum(
            Operator(planted(np.linspace(-1, 1, 300))), top=5, bottom=5, tol=1e-9, max_products=30
        )


@pytest.mark.parametrize("top", [0, 1, 5])
@pytest.mark.parametrize("bottom", [0, 2, N])
def test_ends_of_a_matrix(top, bottom):
    found = spectrum(TAKEN["array"], top=top, bottom=bottom)
    wanted = range(N) if bottom == N else [*range(bottom), *range(N - top, N)]
    assert found.indices.tolist() == list(wanted)
    assert found.unresolved == 0
    assert len(found.eigenvalues) == N


# What float32 certifies.


@pytest.mark.parametrize("n", [1, 5, 60, 300])
def test_products_in_single_precision_against_double(n):
    matrix = planted(np.r_[np.geomspace(1, 40, n - n // 2), -np.geomspace(1e-3, 2, n // 2)])
    operator = Operator(matrix, torch.float32)
    top, bottom = min(4, n), min(3, n - min(4, n))
    found = spectrum(operator, top=top, bottom=bottom)
    values = np.linalg.eigvalsh(matrix)
    scale = np.abs(values).max()
    expected = np.r_[values[:bottom], values[n - top :]]
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-5 * scale)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(top + bottom), atol=1e-12)
    # The certificate holds for the matrix itself, up to the rounding of float32.
    residuals = np.linalg.norm(matrix @ found.vectors - found.vectors * found.eigenvalues, axis=0)
    assert (residuals <= found.residuals + 1e-6 * scale).all()
    assert found.tol == 1e-4
    assert found.dtype == "float32"
    assert "float32 products" in repr(found)
    assert operator.products == found.products
    double, single = (trace(form, products=24) for form in (matrix, operator))
    assert single.value == pytest.approx(double.value, rel=1e-4, abs=1e-5 * scale)
    double, single = (density(form, steps=9).trace() for form in (matrix, operator))
    assert single.value == pytest.approx(double.value, rel=1e-4, abs=1e-5 * scale)


def test_single_precision_certifies_no_more_than_it_has():
    operator = Operator(planted(np.linspace(1, 9, 40)), torch.float32)
    assert spectrum(operator, top=2, tol=1e-6).certified.all()
    with pytest.raises(
        ValueError, match=r"tol=1e-08: products in float32 certify no less than 1e-"
    ):
        spectrum(operator, top=2, tol=1e-8)
    scipy_operator = aslinearoperator(operator.matrix.numpy())
    assert spectrum(scipy_operator, top=2).dtype == "float32"
