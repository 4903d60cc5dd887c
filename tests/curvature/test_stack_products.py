"""Products with the Hessian of stacks, by hand, against dense Hessians and the general method."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import AvgPool2d, Conv2d, Embedding, Flatten, Linear, MaxPool2d, ReLU, Sequential

from hdlib.curvature import HessianOperator, hessian
from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.structure.altered import SMOOTH
from hdlib.curvature.structure.stacks.engine import StackEngine
from hdlib.curvature.structure.stacks.products import StackProducts

from .reference import reference_hessian, relative_error
from .stacks import STACKS, fit, make, recognised, targets_for

FLOAT64 = torch.float64
CLASSES = 3


def mlp(depth: int = 2, samples: int = 9) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(depth)
    widths = [4, *[6, 5, 7][: depth - 1], CLASSES]
    layers = [[Linear(i, o), ReLU()] for i, o in pairwise(widths)]
    model = Sequential(*[layer for pair in layers for layer in pair][:-1]).double()
    return model, torch.randn(samples, 4, dtype=FLOAT64), torch.arange(samples) % CLASSES


def tokens(samples: int = 9) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = Sequential(Embedding(5, 4), Flatten(), Linear(8, 6), ReLU(), Linear(6, CLASSES))
    return model.double(), torch.randint(4, (samples, 2)), torch.arange(samples) % CLASSES


def images(samples: int = 9) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = Sequential(
        *(Conv2d(2, 3, 3, stride=2, padding=1), ReLU(), MaxPool2d(2, stride=1)),
        *(Conv2d(3, 4, 2, bias=False), AvgPool2d(2), Flatten(), ReLU(), Linear(4, CLASSES)),
    )
    return model.double(), torch.randn(samples, 2, 7, 8).double(), torch.arange(samples) % CLASSES


def by_hand(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> StackProducts:
    """The products of the structure, which have to be there."""
    engine = recognised(model, x, loss)
    assert isinstance(engine, StackEngine)
    products = engine.products([Batch((x,), {}, y)], dtype=FLOAT64)
    assert isinstance(products, StackProducts)
    return products


def generally(loss: Callable) -> Callable[[Tensor, Tensor], Tensor]:
    """The same loss, as one that is not recognised."""
    return lambda outputs, targets: loss(outputs, targets)


def block_for(model: nn.Module, columns: int = 11) -> Tensor:
    size = sum(parameter.numel() for parameter in model.parameters())
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, columns, generator=generator, dtype=FLOAT64)


@pytest.mark.parametrize("trained", [False, True], ids=["untrained", "trained"])
@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_perceptrons(depth, loss, trained):
    model, x, classes = mlp(depth)
    y = targets_for(loss, model(x), classes)
    if trained:
        fit(model, loss, x, y, steps=40)
    expected = reference_hessian(model, loss, x, y)
    found = by_hand(model, loss, x, y)(torch.eye(len(expected), dtype=FLOAT64))
    assert relative_error(found, expected) < 1e-12
    assert (found - found.T).abs().max() < 1e-14 * found.abs().max()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("name", STACKS)
def test_all_stacks(name, loss):
    model, x, classes = make(name)
    y, block = targets_for(loss, model(x), classes), block_for(model)
    operator = HessianOperator(model, loss, (x, y))
    assert relative_error(operator @ block, hessian(model, loss, (x, y)) @ block) < 1e-12
    single = HessianOperator(model, loss, (x, y), dtype=torch.float32) @ block.float()
    assert relative_error(single.double(), operator @ block) < 1e-5


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
def test_convolutions(loss):
    model, x, classes = images()
    y = targets_for(loss, model(x), classes)
    expected = reference_hessian(model, loss, x, y)
    found = by_hand(model, loss, x, y)(torch.eye(len(expected), dtype=FLOAT64))
    assert relative_error(found, expected) < 1e-12
    assert (found - found.T).abs().max() < 1e-14 * found.abs().max()


def test_images_too_large_for_two_at_a_time():
    torch.manual_seed(0)
    model = Sequential(Conv2d(1, 3, 3), MaxPool2d(37), Conv2d(3, 2, 2), Flatten(), Linear(18, 3))
    x, y = torch.randn(3, 1, 150, 150).double(), torch.arange(3)
    block = block_for(model.double())
    general = HessianOperator(model, generally(F.cross_entropy), (x, y)) @ block
    assert relative_error(by_hand(model, F.cross_entropy, x, y)(block), general) < 1e-12


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_activations(kind, loss):
    """First, between layers of both kinds, one after the other, and last."""
    torch.manual_seed(0)
    model = Sequential(
        *(kind(), Conv2d(1, 2, 2), kind(), MaxPool2d(2), kind(), ReLU(), Flatten()),
        *(Linear(8, 5), kind(), kind(), Linear(5, CLASSES), kind()),
    ).double()
    x = 2 * torch.randn(9, 1, 5, 5).double()
    y = targets_for(loss, model(x), torch.arange(9) % CLASSES)
    expected = reference_hessian(model, loss, x, y)
    found = by_hand(model, loss, x, y)(torch.eye(len(expected), dtype=FLOAT64))
    assert relative_error(found, expected) < 1e-12
    assert relative_error(hessian(model, loss, (x, y)), expected) < 1e-12
    block = block_for(model)
    single = HessianOperator(model, loss, (x, y), dtype=torch.float32) @ block.float()
    assert relative_error(single.double(), expected @ block) < 1e-5


def test_activations_with_settings_of_their_own():
    torch.manual_seed(0)
    model = Sequential(
        *(Linear(4, 5), nn.GELU("tanh"), Linear(5, 5), nn.ELU(0.5, inplace=True)),
        *(Linear(5, 5), nn.Softplus(2, threshold=1), Linear(5, 5), nn.SiLU(inplace=True)),
        Linear(5, CLASSES),
    ).double()
    _, x, y = mlp()
    expected = reference_hessian(model, F.cross_entropy, x, y)
    found = by_hand(model, F.cross_entropy, x, y)(torch.eye(len(expected), dtype=FLOAT64))
    assert relative_error(found, expected) < 1e-12


@pytest.mark.parametrize("loss", [F.cross_entropy, F.mse_loss])
def test_an_embedding(loss):
    model, x, classes = tokens()
    y = targets_for(loss, model(x), classes)
    expected = reference_hessian(model, loss, x, y)
    found = by_hand(model, loss, x, y)(torch.eye(len(expected), dtype=FLOAT64))
    assert relative_error(found, expected) < 1e-12
    assert not found[16:20].any()  # a token that does not occur
    assert relative_error(hessian(model, loss, (x, y)), expected) < 1e-12


def probabilities(y: Tensor) -> Tensor:
    """Unequal sums, and a sample without any."""
    found = F.one_hot(y, CLASSES) + torch.linspace(0, 1, len(y), dtype=FLOAT64)[:, None]
    found[4] = 0
    return found


TARGETS: dict[str, tuple[Callable, Callable[[Tensor], Tensor]]] = {
    "classes": (F.cross_entropy, lambda y: y),
    "some ignored": (F.cross_entropy, lambda y: y.where(torch.arange(len(y)) % 3 > 0, -100)),
    "probabilities": (F.cross_entropy, probabilities),
    "single probabilities": (F.cross_entropy, lambda y: probabilities(y).float()),
    "values": (F.mse_loss, lambda y: F.one_hot(y, CLASSES).double() / 3),
}


@pytest.mark.parametrize("case", [mlp, tokens, images])
@pytest.mark.parametrize("name", TARGETS)
def test_targets(name, case):
    loss, change = TARGETS[name]
    model, x, y = case(samples=700)
    y, block = change(y), block_for(model)
    general = HessianOperator(model, generally(loss), (x, y)) @ block
    assert relative_error(by_hand(model, loss, x, y)(block), general) < 1e-12
    order = torch.randperm(len(x))
    sizes = [1, 0, 300, 7, 392]
    for data in (
        (x[order], y[order]),
        list(zip(x.split(sizes), y.split(sizes), strict=True)),
        ((x[i : i + 90], y[i : i + 90]) for i in range(0, 700, 90)),
    ):
        operator = HessianOperator(model, loss, data)
        assert relative_error(operator @ block, general) < 1e-13
        assert relative_error(operator @ block[:, 0], general[:, 0]) < 1e-13
    single = HessianOperator(model, loss, (x, y), dtype=torch.float32) @ block.float()
    assert single.dtype == torch.float32
    assert relative_error(single.double(), general) < 1e-5


def test_automatic_casts_change_nothing():
    model, x, y = mlp()
    block = block_for(model).float()
    plain = HessianOperator(model, F.cross_entropy, (x, y), dtype=torch.float32) @ block
    with torch.autocast("cpu"):
        operator = HessianOperator(model, F.cross_entropy, (x, y), dtype=torch.float32)
        assert torch.equal(operator @ block, plain)


def test_the_model_may_move_on():
    model, x, y = mlp()
    operator = HessianOperator(model, F.cross_entropy, (x, y))
    before = operator @ block_for(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert torch.equal(operator @ block_for(model), before)


def test_memory_is_announced(caplog):
    model, x, y = mlp()
    with caplog.at_level("INFO", "hdlib"):
        HessianOperator(model, F.cross_entropy, (x, y))
    assert "a product by hand over 9 samples takes 0.00 GB" in caplog.messages


def test_inputs_of_several_shapes_go_the_general_way():
    torch.manual_seed(0)
    model = Sequential(nn.AvgPool2d(2), Flatten(), Linear(4, CLASSES)).double()
    data = [(torch.randn(6, 1, size, size).double(), torch.arange(6) % 3) for size in (4, 5)]
    block = block_for(model)
    parts = [HessianOperator(model, F.cross_entropy, part) @ block for part in data]
    found = HessianOperator(model, F.cross_entropy, data) @ block
    assert relative_error(found, (parts[0] + parts[1]) / 2) < 1e-13


WRONG: dict[str, tuple[Callable[[], tuple], Callable, Callable[[Any, Any], Any], str]] = {
    "class": (mlp, F.cross_entropy, lambda x, y: (x, y + 1), "fails on"),
    "classes as numbers": (mlp, F.cross_entropy, lambda x, y: (x, y.double()), "fails on"),
    "all ignored": (mlp, F.cross_entropy, lambda x, y: (x, y * 0 - 100), "no target counts"),
    "values of another shape": (mlp, F.mse_loss, lambda x, y: (x, y.double()), "fails on"),
    "overflow": (mlp, F.cross_entropy, lambda x, y: (x * 1e308, y), "not finite"),
    "token": (tokens, F.cross_entropy, lambda x, y: (x + 2, y), "fails on"),
    "negative token": (tokens, F.cross_entropy, lambda x, y: (x - 1, y), "fails on"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_told_as_ever(name):
    case, loss, change, words = WRONG[name]
    model, x, y = case()
    with pytest.raises(ValueError, match=words):
        HessianOperator(model, loss, change(x, y))


@pytest.mark.parametrize(
    "settings",
    [{"padding_idx": 0}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"sparse": True}],
)
def test_embeddings_that_do_more(settings):
    _, x, _ = tokens()
    model = Sequential(Embedding(5, 4, **settings), Flatten(), Linear(8, CLASSES)).double()
    assert recognised(model, x) is None


def test_an_embedding_that_is_not_first():
    _, x, _ = tokens()
    model = Sequential(ReLU(), Embedding(5, 4), Flatten(), Linear(8, CLASSES)).double()
    assert recognised(model, x) is None
