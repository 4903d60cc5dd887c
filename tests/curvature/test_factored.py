"""Hessian-vector products differentiated by hand against automatic differentiation."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import HessianOperator
from hdlib.curvature.structure.modular.products import PIECE, FactoredProducts
from hdlib.models import PlainTransformer
from hdlib.tasks import modular_task
from hdlib.training import cross_entropy_float64

from .reference import reference_products, relative_error, unbatched_hessian

OPTIONS = [
    {"activation": activation, "mlp_width": mlp_width, "equals_logit": equals, "n_heads": n_heads}
    for activation, mlp_width, equals, n_heads in product(
        ["none", "relu"], [0, 10], [False, True], [1, 2]
    )
]


def label(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


def case(p: int = 5, **options) -> tuple[PlainTransformer, Tensor, Tensor]:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 6, "n_heads": 2} | options
    model = PlainTransformer(p, **settings).double()
    for name, parameter in model.named_parameters():
        # Biases start at 0, where a forgotten one would not be seen.
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    pairs = modular_task(p, train_fraction=0.9, seed=0).train
    return model, pairs.tokens(), pairs.targets


def directions(model: nn.Module, columns: int = 3) -> Tensor:
    size = sum(parameter.numel() for parameter in model.parameters())
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, columns, generator=generator, dtype=torch.float64)


def error(model: PlainTransformer, x: Tensor, y: Tensor) -> float:
    """Of three products, against forward over reverse through the three-position forward pass."""
    block = directions(model)
    found = FactoredProducts(model, x, y)(block)
    return relative_error(found, reference_products(model, F.cross_entropy, x, y, block))


@pytest.mark.parametrize("options", OPTIONS, ids=label)
def test_every_option(options):
    assert error(*case(**options)) < 1e-12


@pytest.mark.parametrize("options", [{}, {"activation": "relu", "mlp_width": 7}], ids=label)
def test_every_entry_of_the_hessian(options):
    """Against double backward: blocks that are small beside others are not hidden by these."""
    model, x, y = case(p=3, width=4, **options)
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    products = FactoredProducts(model, x, y)
    found = products(torch.eye(len(expected), dtype=torch.float64))
    assert relative_error(found, expected) < 1e-12
    sizes = [parameter.numel() for parameter in model.parameters()]
    for rows, expected_rows in zip(found.split(sizes), expected.split(sizes), strict=True):
        for part, whole in zip(rows.split(sizes, 1), expected_rows.split(sizes, 1), strict=True):
            assert (part - whole).norm() < 1e-12 * expected.norm()
            assert relative_error(part, whole) < 1e-10 or whole.norm() < 1e-12


def test_more_pairs_than_a_piece():
    model, x, y = case(p=41, activation="relu", mlp_width=5)
    assert 0 < len(x) % PIECE < len(x)
    assert error(model, x, y) < 1e-12
    some = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[: PIECE + 1]
    assert error(model, x[some], y[some]) < 1e-12
    assert error(model, x[:1], y[:1]) < 1e-12


def test_repeated_pairs_count_as_often():
    model, x, y = case()
    block = directions(model)
    once = FactoredProducts(model, x, y)(block)
    twice = FactoredProducts(model, x.repeat(2, 1), y.repeat(2))(block)
    assert relative_error(twice, once) < 1e-13


@pytest.mark.parametrize("scale", [1e-3, 5.0, 100.0])
def test_flat_and_saturated_attention(scale):
    """Uniform weights, and weights of which one is nearly or exactly 1."""
    model, x, y = case(activation="relu")
    with torch.no_grad():
        model.get_parameter("query").mul_(scale)
        model.get_parameter("key").mul_(scale)
    assert error(model, x, y) < 1e-12


def test_exact_zeros_before_a_relu():
    """The derivative there is PyTorch's, 0: residual stream and pre-activations are integers."""
    model, x, y = case(activation="relu", mlp_width=10)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape, generator=generator))
        model.value.zero_()
        hidden = model.embedding[5] + model.position[2]
        assert (hidden == 0).any()
    assert error(model, x, y) < 1e-12


def test_single_precision_and_the_shape_of_blocks():
    model, x, y = case(activation="relu", mlp_width=10)
    block = directions(model, 20)
    exact = FactoredProducts(model, x, y)
    single = FactoredProducts(model, x, y, dtype=torch.float32)
    expected = exact(block)
    found = single(block.float())
    assert found.dtype == torch.float32
    assert relative_error(found.double(), expected) < 2e-6
    for columns in (1, 7):
        assert relative_error(exact(block[:, :columns]), expected[:, :columns]) < 1e-13
    assert not exact(torch.zeros_like(block)).any()


def test_the_training_loss_gives_the_same_products():
    """Softmax in float64 is no other loss for a model in float64; it takes the general path."""
    model, x, y = case()
    block = directions(model)
    general = HessianOperator(model, cross_entropy_float64, (x, y)) @ block
    assert relative_error(HessianOperator(model, F.cross_entropy, (x, y)) @ block, general) < 1e-12


def test_targets_that_are_no_classes():
    model, x, y = case()
    for wrong in (y + 5, y - 1, y.double()):
        with pytest.raises(ValueError, match=r"model or loss fails on 4 samples"):
            HessianOperator(model, F.cross_entropy, (x, wrong))
