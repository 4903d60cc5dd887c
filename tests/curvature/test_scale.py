"""A multiple of a matrix has a multiple of its spectrum, over all of float64's range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import aslinearoperator

from hdlib import density, lanczos, spectrum, trace
from hdlib.measures import spectral_summary

from .operators import Operator, planted

N = 60
RNG = np.random.default_rng(0)
VALUES = np.r_[np.geomspace(1, 50, 6), RNG.normal(0, 0.1, N - 8), -3, -2]
MATRIX = planted(VALUES)
FORMS: dict[str, Any] = {
    "tensor": torch.from_numpy,
    "array": np.asarray,
    "sparse": scipy.sparse.csr_array,
    "SciPy operator": aslinearoperator,
    "operator": Operator,
}
# 600 orders of magnitude; the largest eigenvalue is 2^6 times the unit, the smallest entry 2^-25.
exponents = st.one_of(st.integers(-990, 1010), st.sampled_from([-401, -400, 400, 401, -532, 532]))


def multiple(exponent: int):
    return np.ldexp(MATRIX, exponent)


@settings(max_examples=30, deadline=None)
@given(exponents, st.sampled_from(sorted(FORMS)))
def test_spectrum(exponent, form):
    ends: dict[str, Any] = {"top": 3, "bottom": 2}
    unit = spectrum(FORMS[form](MATRIX), **ends)
    found = spectrum(FORMS[form](multiple(exponent)), **ends)
    np.testing.assert_array_equal(found.eigenvalues, np.ldexp(unit.eigenvalues, exponent))
    np.testing.assert_array_equal(found.vectors, unit.vectors)
    np.testing.assert_array_equal(found.residuals, np.ldexp(unit.residuals, exponent))
    assert found.certified.all()
    assert (found.trace_error, found.frobenius_error) == (unit.trace_error, unit.frobenius_error)


@settings(max_examples=20, deadline=None)
@given(exponents)
def test_trace_and_density(exponent):
    operator = Operator(multiple(exponent))
    unit, found = trace(MATRIX, products=12), trace(operator, products=12)
    assert found.value == np.ldexp(unit.value, exponent)
    assert found.standard_error == np.ldexp(unit.standard_error, exponent)
    unit, found = density(MATRIX, steps=12), density(operator, steps=12)
    np.testing.assert_array_equal(found.diagonal, np.ldexp(unit.diagonal, exponent))
    np.testing.assert_array_equal(found.coupling, np.ldexp(unit.coupling, exponent))
    np.testing.assert_allclose(found.weights, unit.weights, rtol=1e-12)
    assert found.entropy() == pytest.approx(unit.entropy(), rel=1e-12)
    bounds = np.ldexp([-0.5, 0.5], exponent)
    assert found.count(*bounds) == pytest.approx(unit.count(-0.5, 0.5), rel=1e-9, abs=1e-9)
    total, expected = found.trace(), unit.trace()
    assert total.value == pytest.approx(np.ldexp(expected.value, exponent), rel=1e-12)
    assert total.standard_error == pytest.approx(
        np.ldexp(expected.standard_error, exponent), rel=1e-12
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e-310])
def test_the_smallest_numbers_there_are(form, size):
    """Entries without a full mantissa are numbers like others."""
    whole = np.round(10 * MATRIX)
    found = spectrum(FORMS[form](whole * size), top=2, bottom=1)
    expected = np.linalg.eigvalsh(whole)[[0, -2, -1]]
    unit = np.float64(size)
    np.testing.assert_allclose(found.eigenvalues[[0, -2, -1]] / unit, expected, atol=1)
    assert found.certified.all()
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_zero(form, n):
    zero = FORMS[form](np.zeros((n, n)))
    found = spectrum(zero, top=1, bottom=0)
    assert not found.eigenvalues.any()
    assert found.certified.all()
    assert trace(zero).value == trace(zero).standard_error == 0
    assert density(zero, steps=3).count(-1, 1) == pytest.approx((n, 0, n, n))
    assert density(zero, steps=3).entropy().value == spectral_summary(np.zeros(n)).spectral_entropy


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [-1e-310, 1e-160, 1.0, -1e160, 1e308])
def test_one_number(form, value):
    matrix = FORMS[form](np.full((1, 1), value))
    found = spectrum(matrix, top=1)
    assert found.eigenvalues.tolist() == [value]
    assert found.top(1).tolist() in ([[1.0]], [[-1.0]])
    assert trace(matrix).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_what_leaves_the_range_is_an_error(form):
    """Eigenvalue 60 · 10³⁰⁷ of a matrix of finite numbers."""
    matrix = FORMS[form](np.full((N, N), 1e307))
    for function in (lambda a: spectrum(a, top=1), trace, density):
        with pytest.raises(ValueError, match=r"leave the range of float64|is not finite"):
            function(matrix)


@settings(max_examples=20, deadline=None)
@given(st.integers(-95, 90))
def test_operators_in_single_precision(exponent):
    unit = lanczos(Operator(MATRIX, torch.float32), top=3, bottom=2)
    found = lanczos(Operator(multiple(exponent), torch.float32), top=3, bottom=2)
    np.testing.assert_array_equal(found.eigenvalues, np.ldexp(unit.eigenvalues, exponent))
    np.testing.assert_array_equal(found.vectors, unit.vectors)
