"""What cannot be computed is refused, in words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import HessianOperator, hessian

X, Y = torch.ones(4, 3), torch.tensor([0, 1, 0, 1])


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ((X[:0], Y[:0]), ValueError, "data is empty"),
        ([], ValueError, "data is empty"),
        ((X, Y[:3]), ValueError, "4 inputs do not match 3 targets"),
        ([(X, Y, Y)], TypeError, r"forward\(input.*\) does not take 2 inputs; a batch is"),
        ([(X, [0, 1, 0, 1])], TypeError, "targets hold no tensor with samples, got list"),
        ((X, Y + 1), ValueError, "classes must lie in 0 … 1, got 1 … 2"),
        ((X, Y - 1), ValueError, "classes must lie in 0 … 1, got -1 … 0"),
        ((X, Y.double()), ValueError, "must be 4 classes, got torch.float64"),
        ((X, Y[:, None]), ValueError, r"must be 4 classes, got torch.int64 \(4, 1\)"),
        ((X, Y.int()), ValueError, r"got torch.int32 \(4,\); PyTorch takes classes of type int64"),
        ((X, Y.to(torch.uint16)), ValueError, r"got torch.uint16 \(4,\); PyTorch takes classes"),
        ((X, Y.bool()), ValueError, r"got torch.bool \(4,\); PyTorch takes classes"),
    ],
)
def test_data(data, kind, words):
    with pytest.raises(kind, match=words):
        hessian(model(), F.cross_entropy, data)


@pytest.mark.parametrize("kind", [torch.bool, torch.int32, torch.uint8, torch.float16])
def test_regression_targets_of_other_types_are_numbers(kind):
    targets = torch.ones(4, 2).to(kind)
    for method in (hessian, lambda *given: HessianOperator(*given) @ torch.eye(26).double()):
        network = model().double()
        found, expected = (method(network, F.mse_loss, (X, t)) for t in (targets, targets.double()))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_classes_of_another_type_are_refused_by_products_as_well(kind):
    with pytest.raises(
        ValueError, match=r"PyTorch takes classes of type int64|Long or Byte"
    ) as told:
        HessianOperator(model(), F.cross_entropy, (X, Y.to(kind)))
    assert "single precision" not in str(told.value)


def test_regression_targets_of_another_shape():
    with pytest.raises(ValueError, match=r"targets \(4,\) must have the shape .* \(4, 2\)"):
        hessian(model(), F.mse_loss, (X, Y.float()))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameter_that_is_not_finite(value):
    broken = model()
    with torch.no_grad():
        broken[2].bias[1] = value  # type: ignore[index]
    with pytest.raises(ValueError, match=r"parameter 2\.bias has values that are not finite"):
        hessian(broken, F.cross_entropy, (X, Y))


@pytest.mark.parametrize(
    "nothing", [nn.Flatten(), model().requires_grad_(False)], ids=["no parameter", "all frozen"]
)
def test_nothing_to_differentiate(nothing):
    with pytest.raises(ValueError, match="has no parameter that requires grad"):
        hessian(nothing, F.cross_entropy, (X, Y))


def test_too_large_for_memory():
    def never(outputs: Tensor, targets: Tensor) -> Tensor:
        raise AssertionError("computed something")

    large = nn.Linear(1000, 2000)
    with pytest.raises(MemoryError, match=r"2,002,000 parameters .* takes 32064\.03 GB; ") as error:
        hessian(large, never, (torch.zeros(1, 1000), torch.zeros(1, 2000)))
    assert "available on cpu" in str(error.value)
