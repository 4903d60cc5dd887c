"""Hessians of networks and losses that are not recognised, by products with basis vectors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Conv2d, Flatten, Linear, ReLU, Sequential, Softsign

from hdlib.curvature import gauss_newton, hessian, hessian_split
from hdlib.curvature.structure.losses import output_derivatives

from .reference import reference_gauss_newton, relative_error, unbatched_hessian
from .stacks import recognised


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = Linear(4, 3)
        self.first = Linear(4, 4)
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.scale * self.first(x).relu())


class Doubled(Sequential):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Called(Sequential):
    def __call__(self, input: Tensor) -> Tensor:
        return 2 * super().__call__(input)


class Leaky(ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, 0.3)


class Squared(Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) ** 2


class Tilted(nn.AvgPool2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).sin()


def frozen() -> nn.Module:
    model = Sequential(Linear(4, 5), ReLU(), Linear(5, 3))
    model[0].requires_grad_(False)
    return model


def reused() -> nn.Module:
    layer = Linear(4, 4)
    return Sequential(layer, ReLU(), layer, ReLU(), Linear(4, 3))


def tied() -> nn.Module:
    model = Sequential(Linear(4, 4), Softsign(), Linear(4, 4), ReLU(), Linear(4, 3))
    model[2].weight = model[0].weight
    return model


def hooked() -> nn.Module:
    def double(module: nn.Module, args: object, output: Tensor) -> Tensor:
        return 2 * output

    model = Sequential(Linear(4, 5), ReLU(), Linear(5, 3))
    model[1].register_forward_hook(double)
    return model


def conv(**options) -> nn.Module:
    return Sequential(Conv2d(2, 4, 3, **options), ReLU(), Flatten(), nn.LazyLinear(3))


IMAGE = (2, 4, 4)
MODELS = {
    "softsign": ((4,), lambda: Sequential(Linear(4, 6), Softsign(), Linear(6, 3))),
    "layer norm": (
        (4,),
        lambda: Sequential(Linear(4, 5), nn.LayerNorm(5), nn.GELU(), Linear(5, 3)),
    ),
    "dropout": ((4,), lambda: Sequential(Linear(4, 5), nn.Dropout(0.5), Linear(5, 3)).eval()),
    "own forward": ((4,), Residual),
    "own call of a Sequential": ((4,), lambda: Called(Linear(4, 5), ReLU(), Linear(5, 3))),
    "own forward of a Sequential": ((4,), lambda: Doubled(Linear(4, 5), ReLU(), Linear(5, 3))),
    "own forward of a ReLU": ((4,), lambda: Sequential(Linear(4, 5), Leaky(), Linear(5, 3))),
    "own forward of a Linear": ((4,), lambda: Sequential(Squared(4, 5), ReLU(), Linear(5, 3))),
    "own forward of a pool": (
        IMAGE,
        lambda: Sequential(Conv2d(2, 2, 3), Tilted(2), Flatten(), Linear(2, 3)),
    ),
    "forward hook": ((4,), hooked),
    "frozen layer": ((4,), frozen),
    "module used twice": ((4,), reused),
    "shared weight": ((4,), tied),
    "groups": (IMAGE, lambda: conv(groups=2)),
    "circular padding": (IMAGE, lambda: conv(padding=1, padding_mode="circular")),
    "padding in words": (IMAGE, lambda: conv(padding="same")),
    "linear on images": ((2, 4), lambda: Sequential(Linear(4, 3), ReLU(), Flatten(), Linear(6, 3))),
}


def make(name: str, samples: int = 9) -> tuple[nn.Module, Tensor, Tensor]:
    shape, build = MODELS[name]
    torch.manual_seed(1)
    model = build().double()
    x = torch.randn(samples, *shape, dtype=torch.float64)
    model(x)
    return model, x, torch.arange(samples) % 3


def smoothed(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, label_smoothing=0.1)


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.huber_loss(outputs, F.one_hot(targets, 3).double(), delta=0.5)


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    log_p = outputs.log_softmax(1).gather(1, targets[:, None])
    return -((1 - log_p.exp()) ** 2 * log_p).mean()


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model, x, y = make(name)
    assert recognised(model, x) is None
    value = hessian(model, F.cross_entropy, (x, y))
    assert torch.equal(value, value.T)
    assert relative_error(value, unbatched_hessian(model, F.cross_entropy, x, y)) < 1e-12


@pytest.mark.parametrize(
    "loss",
    [
        smoothed,
        huber,
        focal,
        nn.CrossEntropyLoss(label_smoothing=0.2),
        nn.CrossEntropyLoss(weight=torch.ones(3, dtype=torch.float64)),
    ],
)
def test_losses(loss):
    torch.manual_seed(2)
    model = Sequential(Linear(4, 6), ReLU(), Linear(6, 3)).double()
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3
    assert output_derivatives(loss) is None
    assert (
        relative_error(hessian(model, loss, (x, y)), unbatched_hessian(model, loss, x, y)) < 1e-12
    )
    expected = reference_gauss_newton(model, loss, x, y)
    assert relative_error(gauss_newton(model, loss, (x, y)), expected) < 1e-12


@pytest.mark.parametrize("name", ["softsign", "own forward", "shared weight", "frozen layer"])
def test_split(name):
    model, x, y = make(name)
    curved, bent = hessian_split(model, F.cross_entropy, (x, y))
    assert relative_error(curved, reference_gauss_newton(model, F.cross_entropy, x, y)) < 1e-12
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    assert relative_error(curved + bent, expected) < 1e-12


def test_batches_do_not_matter():
    model, x, y = make("softsign", samples=100)
    whole = hessian(model, F.cross_entropy, (x, y))
    assert relative_error(whole, unbatched_hessian(model, F.cross_entropy, x, y)) < 1e-12
    pieces = zip(x.split(33), y.split(33), strict=True)
    assert relative_error(hessian(model, F.cross_entropy, pieces), whole) < 1e-13


def test_more_parameters_in_a_tensor_than_directions_at_a_time():
    torch.manual_seed(3)
    model = Sequential(Linear(15, 9), Softsign(), Linear(9, 3)).double()
    x, y = torch.randn(6, 15, dtype=torch.float64), torch.arange(6) % 3
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, F.cross_entropy, (x, y)), expected) < 1e-12
