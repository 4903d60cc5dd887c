"""Random stacks of the recognised kinds against PyTorch's own Hessian."""

from __future__ import annotations

import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import HessianOperator, gauss_newton, hessian, hessian_split
from hdlib.curvature.structure.stacks.cost import worthwhile
from hdlib.curvature.structure.stacks.stack import recognised_stack

from .reference import reference_gauss_newton, relative_error, unbatched_hessian
from .stacks import recognised


@pytest.fixture
def structured(monkeypatch):
    """The structured path, also where products would be cheaper."""
    monkeypatch.setattr("hdlib.curvature.structure.stacks.engine.worthwhile", lambda *_, **__: True)


def image_layers(rng: random.Random, channels: int, rectify: bool) -> list[nn.Module]:
    """A convolution or a pool with random settings, and maybe a ReLU."""
    pair = partial(rng.choices, (1, 2), k=2)
    kernel = tuple(rng.choices((1, 2, 3), k=2))
    half = tuple(rng.randint(0, size // 2) for size in kernel)
    kind = rng.choice(("conv", "conv", "max", "average"))
    if kind == "conv":
        chosen: nn.Module = nn.Conv2d(
            channels,
            rng.randint(1, 3),
            kernel,  # type: ignore[arg-type]
            stride=tuple(pair()),  # type: ignore[arg-type]
            padding=tuple(rng.choices((0, 1, 2), k=2)),  # type: ignore[arg-type]
            dilation=tuple(pair()),  # type: ignore[arg-type]
            bias=rng.random() < 0.7,
        )
    elif kind == "max":
        chosen = nn.MaxPool2d(
            kernel,  # type: ignore[arg-type]
            stride=rng.choice((None, 1, 2)),
            padding=half,  # type: ignore[arg-type]
            dilation=tuple(pair()),  # type: ignore[arg-type]
            ceil_mode=rng.random() < 0.5,
        )
    else:
        chosen = nn.AvgPool2d(
            kernel,  # type: ignore[arg-type]
            stride=rng.choice((None, 1, 2)),
            padding=half,  # type: ignore[arg-type]
            ceil_mode=rng.random() < 0.5,
            count_include_pad=rng.random() < 0.5,
            divisor_override=rng.choice((None, 3)),
        )
    return [chosen, nn.ReLU()] if rectify else [chosen]


def random_stack(seed: int) -> tuple[nn.Module, Tensor]:
    """A float64 stack, and inputs for it."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    samples = rng.choice((1, 4, 9))
    layers: list[nn.Module] = [nn.ReLU()] if rng.random() < 0.2 else []
    if seed % 2:
        x = torch.randn(samples, rng.randint(1, 2), rng.randint(5, 8), rng.randint(5, 8)).double()
        for _ in range(rng.randint(1, 4)):
            channels = nn.Sequential(*layers).double()(x).shape[1]
            added = image_layers(rng, channels, rng.random() < 0.6)
            try:
                outputs = nn.Sequential(*layers, added[0]).double()(x)
            except RuntimeError:  # the image has become smaller than the window
                break
            if outputs.isinf().any():  # a window all of padding
                break
            layers += added
        layers += [nn.Identity(), nn.Flatten()]
    else:
        x = torch.randn(samples, rng.randint(1, 5)).double()
    for _ in range(rng.randint(1, 3)):
        width = nn.Sequential(*layers).double()(x).shape[1]
        layers.append(nn.Linear(width, rng.randint(1, 5), bias=rng.random() < 0.7))
        if rng.random() < 0.6:
            layers.append(nn.ReLU())
    if rng.random() < 0.3:
        layers.append(nn.Flatten())
    return nn.Sequential(*layers).double(), x


def check(model: nn.Module, loss, x: Tensor, y: Tensor) -> None:
    """Hessian, its products, Gauss–Newton part and residual, to rounding."""
    expected = unbatched_hessian(model, loss, x, y)
    assert relative_error(hessian(model, loss, (x, y)), expected) < 1e-10
    basis = torch.eye(len(expected), dtype=torch.float64)
    assert relative_error(HessianOperator(model, loss, (x, y)) @ basis, expected) < 1e-10
    curved, bent = hessian_split(model, loss, (x, y))
    assert relative_error(curved + bent, expected) < 1e-10
    part = reference_gauss_newton(model, loss, x, y)
    assert relative_error(gauss_newton(model, loss, (x, y)), part) < 1e-10
    assert relative_error(curved, part) < 1e-10


@pytest.mark.parametrize("seed", range(60))
def test_random_stacks(structured, seed):
    model, x = random_stack(seed)
    assert recognised(model, x) is not None
    outputs = model(x)
    if seed % 3:
        check(model, F.cross_entropy, x, torch.arange(len(x)) % outputs.shape[1])
    else:
        check(model, F.mse_loss, x, torch.randn_like(outputs))


def test_smallest_chunks_and_pieces(structured, monkeypatch):
    """Many classes or wide layers leave room for one sample, and one row of outer products."""
    for name in ("room.CHUNK_FLOATS", "room.FLOATS", "blocks.FLOATS", "residual.FLOATS"):
        monkeypatch.setattr(f"hdlib.curvature.structure.stacks.{name}", 1)
    for seed in range(8):
        model, x = random_stack(seed)
        check(model, F.cross_entropy, x, torch.zeros(len(x), dtype=torch.int64))


LINEAR = {
    "no input": (lambda: nn.Linear(0, 3), (0,)),
    "no unit inside": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 0), nn.ReLU(), nn.Linear(0, 3)),
        (4,),
    ),
    "one class": (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)), (4,)),
    "one class of an image": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)),
        (1, 3, 3),
    ),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("name", LINEAR)
def test_sizes_zero_and_one(structured, name):
    build, shape = LINEAR[name]
    model = build().double()
    x = torch.randn(4, *shape, dtype=torch.float64)
    check(model, F.cross_entropy, x, torch.zeros(4, dtype=torch.int64))
    check(model, F.mse_loss, x, torch.randn_like(model(x)))


OTHERS = {
    "window all of padding": (
        lambda: nn.Sequential(
            nn.MaxPool2d((1, 2), padding=(0, 1), dilation=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2, 2),
        ),
        (1, 2, 1),
    ),
    "linear on sequences": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Flatten()), (4, 3)),
    "one-dimensional convolution": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)),
        (2, 4),
    ),
    "flatten of two axes": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(2), nn.Flatten(), nn.Linear(8, 2)),
        (1, 3, 3),
    ),
    "groups": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 2, groups=2), nn.Flatten(), nn.Linear(8, 2)),
        (2, 3, 3),
    ),
    "padding of the same size": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Flatten(), nn.Linear(18, 2)),
        (1, 3, 3),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_stacks_that_are_left_to_the_general_path(name):
    build, shape = OTHERS[name]
    model = build().double()
    x = torch.randn(4, *shape, dtype=torch.float64)
    assert recognised(model, x) is None
    check(model, F.cross_entropy, x, torch.arange(4) % 2)


def test_parameters_in_another_order():
    """A weight that was registered again comes after its bias."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    first = model[0]
    weight = nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
    del first.weight
    first.register_parameter("weight", weight)
    x = torch.randn(5, 3, dtype=torch.float64)
    assert next(name for name, _ in model.named_parameters()) == "0.bias"
    check(model, F.cross_entropy, x, torch.arange(5) % 2)


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_ignored_targets(structured, seed):
    model, x = random_stack(seed)
    x = x.repeat(6, *[1] * (x.ndim - 1)) + torch.randn(6 * len(x), *x.shape[1:])
    y = torch.arange(len(x)) % model(x).shape[1]
    y[::3] = -100
    check(model, F.cross_entropy, x, y)
    batches = [(x[:1], y[:1]), (x[1:], y[1:])]  # nothing counts in the first
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, nn.CrossEntropyLoss(), batches), expected) < 1e-10
    with pytest.raises(ValueError, match="no target counts"):
        hessian(model, F.cross_entropy, (x, torch.full_like(y, -100)))


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_class_probabilities(structured, seed):
    """Also such that do not sum to one, which PyTorch takes as they are."""
    model, x = random_stack(seed)
    y = torch.rand_like(model(x))
    check(model, F.cross_entropy, x, y)
    check(model, F.cross_entropy, x, y / y.sum(1, keepdim=True))


def test_class_probabilities_without_a_sum(structured):
    """None at all is no loss, and half of a sample; a negative sum has no curvature to factor."""
    model, x = nn.Linear(3, 2).double(), torch.randn(4, 3).double()
    y = torch.tensor([[0.2, 0.8], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]).double()
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, F.cross_entropy, (x, y)), expected) < 1e-12
    y[1, 0] = -1
    with pytest.raises(ValueError, match="must have a positive sum for each sample, got -1"):
        hessian(model, F.cross_entropy, (x, y))


@pytest.mark.parametrize(("outputs", "shape"), [(1, (4,)), (2, (4, 1)), (2, (1, 2)), (4, (4,))])
def test_regression_targets_that_would_be_spread(structured, outputs, shape):
    with pytest.raises(ValueError, match=r"must have the shape of the outputs|do not match"):
        hessian(nn.Linear(3, outputs), F.mse_loss, (torch.randn(4, 3), torch.randn(shape)))


def test_a_network_that_is_almost_sure():
    """Where p is near one, 1 − p keeps its digits: against its closed form."""
    model = nn.Linear(1, 3, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[30.0], [0.0], [-3.0]]))
    x, y = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0])
    small = torch.tensor([-30.0, -33.0], dtype=torch.float64).exp()
    q = small / (1 + small.sum())
    p = torch.cat([1 - q.sum(0, keepdim=True), q])
    expected = -p[:, None] * p
    expected.diagonal().copy_(torch.stack([p[0] * q.sum(), *(q * (1 - q))]))
    torch.testing.assert_close(
        hessian(model, F.cross_entropy, (x, y)), expected, rtol=1e-13, atol=0
    )


@pytest.mark.parametrize(
    ("build", "shape", "chosen"),
    [
        (lambda: nn.Linear(1, 700), (1,), True),
        (lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 400)), (5,), True),
        (
            lambda: nn.Sequential(
                nn.Conv2d(8, 30, 2), nn.ReLU(), nn.Flatten(), nn.Linear(30, 1), nn.Linear(1, 900)
            ),
            (8, 2, 2),
            False,
        ),
    ],
    ids=["linear", "perceptron", "convolution on one pixel"],
)
def test_the_cheaper_path_for_many_classes(build, shape, chosen):
    """As measured: 140, 70, and a half times as fast as products."""
    layers = recognised_stack(build().double(), torch.randn(1, *shape, dtype=torch.float64))
    assert layers is not None
    assert worthwhile(layers, residual=True) is chosen
