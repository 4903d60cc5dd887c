"""No false alarm at kinks, in saturated networks, at any scale."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Flatten, Linear, ReLU, Sequential

from hdlib.curvature import HessianOperator, gradient, hessian

from .reference import relative_error, unbatched_hessian
from .zoo import CLASSES, N, one_hot

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")
KINKED = (nn.ReLU, nn.LeakyReLU, nn.Hardtanh, nn.ReLU6, nn.Softshrink, nn.Hardswish, nn.PReLU)
SMOOTH = (nn.Tanh, nn.GELU, nn.SiLU, nn.Softplus, nn.ELU)


def network(activation: Callable[[], nn.Module]) -> nn.Module:
    # A tuple of layers that is no recognised stack.
    return Sequential(Linear(4, 6), activation(), nn.LayerNorm(6), Linear(6, CLASSES)).double()


def zero_biases(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)


def zero_head(model: nn.Module) -> None:
    *_, head = (module for module in model.modules() if isinstance(module, Linear))
    for parameter in head.parameters():
        nn.init.zeros_(parameter)


def scaled(factor: float) -> Callable[[nn.Module], None]:
    def scale(model: nn.Module) -> None:
        for parameter in model.parameters():
            parameter.data *= factor

    return scale


CHANGES: dict[str, tuple[Callable[[nn.Module], None], Callable[[Tensor], Tensor]]] = {
    "as it comes": (lambda model: None, lambda x: x),
    "large inputs": (lambda model: None, lambda x: 1e4 * x),
    "small inputs": (lambda model: None, lambda x: 1e-6 * x),
    "shifted inputs": (lambda model: None, lambda x: x + 1e4),
    "binary inputs": (lambda model: None, lambda x: (x > 0).double()),
    "small weights": (scaled(1e-3), lambda x: x),
    "large weights": (scaled(100.0), lambda x: x),
    "zero biases, sparse inputs": (zero_biases, lambda x: x * (x.abs() > 1)),
    "zero head": (zero_head, lambda x: x),
}
LOSSES = {
    "cross-entropy": F.cross_entropy,
    "squares": one_hot(F.mse_loss),
    "absolute": one_hot(F.l1_loss),
    "Huber": one_hot(F.huber_loss),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("activation", [*KINKED, *SMOOTH])
def test_no_false_alarm(activation, change, loss):
    alter, move = CHANGES[change]
    for seed in range(2):
        torch.manual_seed(seed)
        model = network(activation)
        alter(model)
        x, y = move(torch.randn(N, 4, dtype=torch.float64)), torch.randint(CLASSES, (N,))
        assert torch.isfinite(hessian(model, LOSSES[loss], (x, y))).all()


def convolutions() -> tuple[nn.Module, Tensor]:
    model = Sequential(
        nn.Conv2d(1, 2, 3),
        ReLU(),
        nn.BatchNorm2d(2),
        nn.MaxPool2d(2),
        Flatten(),
        Linear(8, CLASSES),
    )
    x = torch.randn(N, 1, 6, 6)
    x[:, :, :3] = 0
    return model.eval(), x


def tokens() -> tuple[nn.Module, Tensor]:
    model = Sequential(
        nn.Embedding(7, 4, padding_idx=0),
        Linear(4, 8),
        ReLU(),
        Linear(8, 2),
        Flatten(),
        Linear(8, 3),
    )
    return model, torch.randint(4, (N, 4))


class Functional(nn.Module):
    """A padded embedding as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Parameter(torch.randn(7, 3)), Linear(12, CLASSES)

    def forward(self, t: Tensor) -> Tensor:
        return self.out(F.embedding(t, self.words, padding_idx=0).flatten(1).tanh())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("build", [convolutions, tokens, lambda: (Functional(), tokens()[1])])
def test_inputs_that_are_partly_zero(build, seed):
    torch.manual_seed(seed)
    model, x = build()
    zero_biases(model)
    y = torch.randint(CLASSES, (N,))
    model = model.double()
    x = x.double() if x.is_floating_point() else x
    expected = unbatched_hessian(model, F.cross_entropy, x, y)
    assert relative_error(hessian(model, F.cross_entropy, (x, y)), expected) < 1e-10
    gradient(model, F.cross_entropy, (x, y))


@pytest.mark.parametrize("size", [3.0, 10.0, 30.0, 100.0, 1000.0])
@pytest.mark.parametrize("seed", range(4))
def test_memorised(seed, size):
    """What a network is sure of, it may be as sure of as it likes."""
    torch.manual_seed(seed)
    model = network(ReLU)
    x = torch.randn(N, 4, dtype=torch.float64)
    y = model(x).argmax(1)
    for name in ("3.weight", "3.bias"):
        model.get_parameter(name).data *= size
    HessianOperator(model, F.cross_entropy, (x, y))


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_large_targets(activation, loss, size):
    """Such as the prices of houses, and a network at its start."""
    for seed in range(3):
        torch.manual_seed(seed)
        model = Sequential(Linear(8, 16), activation(), Linear(16, 1))
        x, y = torch.randn(200, 8), (0.4 * torch.randn(200, 1) + 1) * size
        for entry in (HessianOperator, gradient, hessian):
            entry(model, loss, (x, y))


@pytest.mark.parametrize("factor", [1e-1, 1e-3, 1e-6])
def test_small_weights(factor):
    def by_hand(f: Tensor, y: Tensor) -> Tensor:
        return (f.logsumexp(1) - f.gather(1, y[:, None])[:, 0]).mean()

    for seed in range(6):
        torch.manual_seed(seed)
        model = Sequential(Linear(4, 5), nn.ELU(), Linear(5, 3)).double()
        scaled(factor)(model)
        x, y = torch.randn(100, 4).double(), torch.randint(CLASSES, (100,))
        HessianOperator(model, by_hand, (x, y))
        with pytest.raises(ValueError, match="a sum over the samples"):
            HessianOperator(model, lambda f, y: by_hand(f, y) * len(y), (x, y))


FLAT = {
    "of a softmax": lambda f, y: f.softmax(1).sum(1).mean(),
    "of a norm": lambda f, y: F.normalize(f).square().sum(1).mean(),
    "of outputs": lambda f, y: f.exp().log().mean(),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_hessian_of_rounding(name):
    torch.manual_seed(0)
    x, y = torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))
    assert hessian(Linear(4, 3).double(), FLAT[name], (x, y)).abs().max() < 1e-13


def test_a_loss_without_positives_in_a_piece():
    torch.manual_seed(0)
    x, y = torch.randn(200, 4).double(), torch.arange(200) // 150
    weights = torch.tensor([0.0, 1.0])

    def positives(f: Tensor, y: Tensor) -> Tensor:
        if not (y == 1).any():
            return torch.zeros(())
        return (F.cross_entropy(f, y, reduction="none") * weights[y]).mean()

    model = network(nn.Tanh)
    expected = unbatched_hessian(
        model, lambda f, y: (F.cross_entropy(f, y, reduction="none") * weights[y]).mean(), x, y
    )
    assert relative_error(hessian(model, positives, (x, y)), expected) < 1e-10


def test_a_norm_at_zero():
    """It has no derivative there."""
    torch.manual_seed(0)
    x, y = torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))
    x[20] = 0
    model = Linear(4, 3, bias=False).double()
    loss = lambda f, y: f.square().sum(1).sqrt().mean()  # noqa: E731
    with pytest.raises(ValueError, match="not finite"):
        gradient(model, loss, (x, y))
    with pytest.raises(ValueError, match="not finite"):
        _ = HessianOperator(model, loss, (x, y)) @ torch.randn(12).double()


@pytest.mark.parametrize("margin", [20, 40, 60])
def test_a_loss_near_zero_is_not_taken_for_one_in_single_precision(margin):
    """A network that is certain of its data: the loss moves in steps of its own rounding."""
    torch.manual_seed(0)
    model = network(nn.Tanh)
    x = torch.randn(40, 4).double()
    two = model(x).topk(2).values
    y = model(x).argmax(1)
    *_, last = model.children()
    with torch.no_grad():
        for parameter in last.parameters():
            parameter *= margin / (two[:, 0] - two[:, 1]).median()
    sure = F.cross_entropy(model(x), y, reduction="none") < 1e-5
    data = x[sure], y[sure]
    assert torch.isfinite(gradient(model, F.cross_entropy, data)).all()
    assert torch.isfinite(hessian(model, F.cross_entropy, data)).all()
