"""Operators that add, scale, and are SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import eigsh

from hdlib.curvature import GaussNewtonOperator, HessianOperator, PreconditionedOperator, lanczos

from .test_selection import setting


def matrix(operator) -> torch.Tensor:
    return operator @ torch.eye(operator.shape[0], dtype=operator.dtype)


def test_sums_and_multiples():
    model, x, y = setting()
    h = HessianOperator(model, F.cross_entropy, (x, y))
    g = GaussNewtonOperator(model, F.cross_entropy, (x, y))
    H, G = matrix(h), matrix(g)
    damping = 0.1 * torch.eye(len(H), dtype=torch.float64)
    for operator, expected in (
        (h + g, H + G),
        (h - g, H - G),
        (2 * h, 2 * H),
        (h * 0.5 - (g + 3 * h), 0.5 * H - G - 3 * H),
        (-h, -H),
        (h / 4, H / 4),
        (np.float64(2) * h, 2 * H),
        (sum([h, g], 0 * h), H + G),
        (0 + h, H),
        (h + damping.numpy(), H + damping),
        (h + damping, H + damping),
        (PreconditionedOperator(h, torch.full((len(H),), 4.0)) + h, 1.25 * H),
    ):
        assert (matrix(operator) - expected).abs().max() < 1e-15
        v = torch.randn(len(H), dtype=torch.float64)
        assert (operator @ v - expected @ v).abs().max() < 1e-14
    found = lanczos(h - g, top=2, bottom=2, tol=1e-10)
    values = torch.linalg.eigvalsh(H - G).numpy()
    assert np.allclose(found.eigenvalues, values[[0, 1, -2, -1]], atol=1e-10)


def test_operators_that_do_not_fit():
    model, x, y = setting()
    h = HessianOperator(model, F.cross_entropy, (x, y))
    single = HessianOperator(model, F.cross_entropy, (x, y), dtype=torch.float32)
    part = HessianOperator(model, F.cross_entropy, (x, y), parameters=["0"])
    with pytest.raises(ValueError, match=r"of one dtype, got torch\.float64 and torch\.float32"):
        _ = h + single
    with pytest.raises(ValueError, match=r"of one shape, got \(43, 43\) and \(25, 25\)"):
        _ = h + part
    anything: Any = h
    for wrong in (lambda: anything * 1j, lambda: anything * h, lambda: anything / "2"):
        with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
            wrong()
    with pytest.raises(TypeError, match="an operator with shape, device, dtype and @ is needed"):
        _ = anything + 1
    for wrong in (np.ones(43), h):
        with pytest.raises(TypeError, match=f"must be a tensor, got {type(wrong).__name__}"):
            _ = h @ wrong  # pyright: ignore[reportOperatorIssue]
    with pytest.raises(ValueError, match="must be finite, got nan"):
        _ = float("nan") * h


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scipy_has_the_same_operator(dtype):
    model, x, y = setting()
    operator = HessianOperator(model, F.cross_entropy, (x, y), dtype=dtype)
    theirs = operator.to_scipy()
    assert theirs.shape == (43, 43)
    assert theirs.dtype == np.dtype(str(dtype).removeprefix("torch."))
    H = matrix(operator).double().numpy()
    close = 1e-12 if dtype == torch.float64 else 1e-5
    block = np.random.default_rng(0).standard_normal((43, 2))
    for found, expected in (
        (theirs @ block, H @ block),
        (theirs @ block[:, 0], H @ block[:, 0]),
        (theirs @ block[:, :1], H @ block[:, :1]),
        (theirs.T @ block[:, 0], H @ block[:, 0]),
        (theirs.H @ block, H @ block),
    ):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < close
    assert np.abs(theirs @ (1j * block) - 1j * H @ block).max() < close
    values = eigsh(theirs, k=3, which="LA", return_eigenvectors=False)
    assert np.allclose(np.sort(values), np.linalg.eigvalsh(H)[-3:], atol=close)
