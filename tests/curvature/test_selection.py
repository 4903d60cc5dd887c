"""Curvature in some of the parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import (
    EmpiricalFisherOperator,
    GaussNewtonOperator,
    HessianOperator,
    gauss_newton,
    gradient,
    hessian,
    hessian_split,
    sample_curvature,
)

from .zoo import CLASSES, N, TwoNames, mlp

CHOICES: dict[str, tuple[list[str], list[str]]] = {
    "one": (["2.weight"], ["2.weight"]),
    "a module": (["0"], ["0.weight", "0.bias"]),
    "in another order": (["2.bias", "0.weight"], ["0.weight", "2.bias"]),
    "twice": (["0.weight", "0"], ["0.weight", "0.bias"]),
    "all": (["0", "2"], ["0.weight", "0.bias", "2.weight", "2.bias"]),
}


def setting() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    return mlp().double(), torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))


def rows_of(model: nn.Module, names: list[str]) -> np.ndarray:
    start, found = 0, []
    for name, parameter in model.named_parameters():
        if name in names:
            found.extend(range(start, start + parameter.numel()))
        start += parameter.numel()
    return np.array(found)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("choice", CHOICES)
def test_it_is_the_part_of_the_whole(choice, frozen):
    model, x, y = setting()
    chosen, names = CHOICES[choice]
    rows = rows_of(model, names)
    data = (x, y)
    every = [f(model, F.cross_entropy, data)[rows][:, rows] for f in (hessian, gauss_newton)]
    residual = hessian_split(model, F.cross_entropy, data).residual[rows][:, rows]
    slope = gradient(model, F.cross_entropy, data)[rows]
    operators = HessianOperator, GaussNewtonOperator, EmpiricalFisherOperator
    eye = torch.eye(43, dtype=torch.float64)
    matrices = [op(model, F.cross_entropy, data) @ eye for op in operators]
    v = torch.zeros(43, dtype=torch.float64)
    v[rows] = 1
    each = sample_curvature(model, F.cross_entropy, data, v)

    # What is asked for by name is taken, whether training moves it or not.
    model.requires_grad_(not frozen)

    def close(found: Tensor, expected: Tensor) -> None:
        assert (found - expected).abs().max() <= 1e-13 * (1 + expected.abs().max())

    for f, expected in zip((hessian, gauss_newton), every, strict=True):
        close(f(model, F.cross_entropy, data, parameters=chosen), expected)
    close(hessian_split(model, F.cross_entropy, data, parameters=chosen).residual, residual)
    close(gradient(model, F.cross_entropy, data, parameters=chosen), slope)
    small = torch.eye(len(rows), dtype=torch.float64)
    for operator, matrix in zip(operators, matrices, strict=True):
        found = operator(model, F.cross_entropy, data, parameters=chosen) @ small
        close(found, matrix[rows][:, rows])
    close(sample_curvature(model, F.cross_entropy, data, v[rows], parameters=chosen), each)
    assert all(p.requires_grad != frozen for p in model.parameters())


def test_another_name_of_the_same_parameter():
    torch.manual_seed(0)
    model, data = TwoNames().double(), (torch.randn(N, 4).double(), torch.randint(CLASSES, (N,)))
    one = hessian(model, F.cross_entropy, data, parameters=["into.weight", "first.bias"])
    same = hessian(model, F.cross_entropy, data, parameters=["out.weight", "again.bias"])
    assert torch.equal(one, same)


@pytest.mark.parametrize(
    ("parameters", "kind", "words"),
    [
        (["3.weight"], ValueError, r"no '3\.weight' among 0\.weight, 0\.bias, 2\.weight, 2\.bias"),
        (["0", ""], ValueError, "no '' among"),
        (["1"], ValueError, "no '1' among"),
        (["weight"], ValueError, "no 'weight' among"),
        ([], ValueError, "no name is given"),
        ("0", TypeError, "a list of names, got the string '0'"),
    ],
)
def test_names_that_are_not_there(parameters, kind, words):
    model, x, y = setting()
    for entry in (hessian, HessianOperator, gradient):
        with pytest.raises(kind, match=words):
            entry(model, F.cross_entropy, (x, y), parameters=parameters)
