"""Whatever hides that samples are coupled, or that a loss is no function of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import BatchNorm1d, Linear, Sequential, Softsign

from hdlib.curvature import (
    EmpiricalFisherOperator,
    GaussNewtonOperator,
    HessianOperator,
    gauss_newton,
    gradient,
    hessian,
    sample_curvature,
)

from .reference import relative_error, unbatched_hessian
from .zoo import CLASSES, Applied, N, mlp, shuffled

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.usefixtures("several_pieces"),
]
Data = tuple[Tensor, Tensor]


def data(seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, 4, dtype=torch.float64, generator=generator)
    return x, torch.randint(CLASSES, (N,), generator=generator)


def zero_headed(*layers: nn.Module) -> nn.Module:
    """All outputs are the same, so that every function of them looks like a mean."""
    head = Linear(5, CLASSES)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    return Sequential(Linear(4, 5), *layers, head).double()


class Longest(nn.Module):
    """Cut to the longest of a batch: each length is on its own, as in sorted data."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = Linear(1, 4), Linear(4, CLASSES)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.out(self.into(x[:, : int(lengths.max()), None]).tanh().mean(1))


def sorted_by_length() -> tuple[Tensor, Tensor, Tensor]:
    x, y = data()
    return x, torch.tensor([4] * 12 + [2] * 8 + [1] * (N - 20)), y


def buckets() -> list[Data]:
    return [(torch.randn(n, k, 4).double(), torch.zeros(n, k).long()) for n, k in ((1, 5), (20, 7))]


def summed(f: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(f.flatten(0, 1), y.flatten(), reduction="sum")


class Stepping(nn.Module):
    """Another function after some calls."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = mlp(Softsign()), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x) * (0.5 if self.calls < 25 else 1.0)


class FirstBatch(nn.Module):
    """Scaled by the first batch that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.inner = nn.Parameter(torch.ones(4)), mlp(Softsign())
        self.ready = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.ready:
            self.scale.data = 1 / x.detach().std(0, correction=0).clamp_min(0.1)
            self.ready = True
        return self.inner(x * self.scale)


class MadeBefore(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.log_scale, self.inner = nn.Parameter(torch.zeros(3)), mlp(Softsign())
        self.scale = self.log_scale.exp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.scale


def captured_and_frozen() -> nn.Module:
    model = mlp(Softsign()).requires_grad_(False).double()
    layer: Any = model[0]
    layer.forward = lambda x: F.linear(x, 2 * layer.weight, layer.bias)
    return model


HIDDEN: dict[str, tuple[Callable[[], nn.Module], Any, Callable[[], Any], str]] = {
    "batch norm before a zero head": (
        lambda: zero_headed(BatchNorm1d(5), Softsign()),
        F.cross_entropy,
        data,
        "couples samples",
    ),
    "a square before a zero head": (
        lambda: zero_headed(Softsign()),
        lambda f, y: F.cross_entropy(f, y) ** 2,
        data,
        "couples samples",
    ),
    "a variance before a zero head": (
        lambda: zero_headed(Softsign()),
        lambda f, y: F.cross_entropy(f, y) + f.var(0).sum(),
        data,
        "couples samples",
    ),
    "batch norm and a large constant": (
        lambda: mlp(BatchNorm1d(5)),
        lambda f, y: F.cross_entropy(f, y) + 1e6,
        data,
        "couples samples",
    ),
    "sorted by length": (Longest, F.cross_entropy, sorted_by_length, "couples samples"),
    "a sum over buckets": (
        lambda: mlp(Softsign()),
        summed,
        buckets,
        "a sum over the samples",
    ),
    "a state that is reached later": (
        Stepping,
        F.cross_entropy,
        data,
        "keep a state|not their mean|not a function|not that of the loss|in single precision",
    ),
    "a scale set by the first batch": (
        FirstBatch,
        F.cross_entropy,
        data,
        "changes the parameter scale: send a batch through",
    ),
    "a tensor made before": (MadeBefore, F.cross_entropy, data, "make it in forward"),
    "a list of samples": (
        lambda: mlp(Softsign()),
        lambda f, y: F.cross_entropy(f, torch.tensor(y)),
        lambda: [(data()[0], [0] * N)],
        "hold no tensor with samples",
    ),
}


@pytest.mark.parametrize("entry", [hessian, HessianOperator, gradient])
@pytest.mark.parametrize("name", HIDDEN)
def test_what_hides(name, entry):
    build, loss, given, words = HIDDEN[name]
    torch.manual_seed(0)
    with pytest.raises((ValueError, TypeError), match=words):
        entry(build(), loss, given())


@pytest.mark.parametrize("entry", [hessian, HessianOperator, gradient])
def test_frozen_parameters_that_a_function_holds_on_to(entry):
    names = ["0.weight", "2.weight"]
    with pytest.raises(ValueError, match=r"holds on to 0\.weight of the model"):
        entry(captured_and_frozen(), F.cross_entropy, data(), parameters=names)
    model = mlp(Softsign()).double().requires_grad_(False)

    def decayed(f: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(f, y) + sum(
            (p.square().sum() for p in model.parameters()), f.new_zeros(())
        )

    with pytest.raises(ValueError, match=r"holds on to .* of the model"):
        entry(model, decayed, data(), parameters=["0", "2"])
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_list_beside_the_samples():
    model = Applied(lambda x: x)
    model.inner = mlp(Softsign())
    model.forward = lambda x, lengths: model.inner(x)  # type: ignore[method-assign]
    given = {"x": data()[0], "lengths": [4] * N, "labels": data()[1]}
    with pytest.raises(TypeError, match=r"a list of 23 entries, one for each sample.*a tensor"):
        hessian(model, F.cross_entropy, given)


def agrees(model: nn.Module, given: Callable[[], Any]) -> None:
    """Whatever the form of the data is."""
    loss = F.cross_entropy
    expected = unbatched_hessian(model, loss, *data())
    block = torch.randn(len(expected), 2, dtype=torch.float64)
    assert relative_error(hessian(model, loss, given()), expected) < 1e-10
    assert relative_error(HessianOperator(model, loss, given()) @ block, expected @ block) < 1e-10
    each = sample_curvature(model, loss, given(), block[:, 0])
    assert abs(each.mean() - block[:, 0] @ expected @ block[:, 0]) < 1e-9 * expected.norm()


def refilled() -> Iterator[Data]:
    """Every batch in the same place."""
    place, targets = torch.empty(5, 4).double(), torch.empty(5).long()
    for x, y in zip(data()[0][:20].split(5), data()[1][:20].split(5), strict=True):
        place.copy_(x)
        targets.copy_(y)
        yield place, targets
    yield data()[0][20:], data()[1][20:]


class Rotary(nn.Module):
    """Complex buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("turns", torch.polar(torch.ones(2), torch.tensor([0.3, 1.1])))
        self.inner = mlp(Softsign())

    def forward(self, x: Tensor) -> Tensor:
        turned = torch.view_as_complex(x.unflatten(1, (2, 2)).contiguous()) * self.get_buffer(
            "turns"
        )
        return self.inner(torch.view_as_real(turned).flatten(1))


class OneOrTwo(nn.Module):
    """A pair for one argument, where another could be given."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp(Softsign())

    def forward(self, parts: Any, scale: Any = None) -> Tensor:
        x = torch.cat(parts, 1) if isinstance(parts, (tuple, list)) else parts
        return self.inner(x) * (1.0 if scale is None else scale.sum())


RIGHT: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "batches made in one place": (lambda: mlp(Softsign()), refilled),
    "complex buffers": (Rotary, data),
    "a tuple for one argument": (
        OneOrTwo,
        lambda: [((x[:, :1], x[:, 1:]), y) for x, y in shuffled(*data())],
    ),
    "targets in eight bits": (lambda: mlp(), lambda: (data()[0], data()[1].to(torch.uint8))),
    "inputs of another byte order": (
        lambda: mlp(Softsign()),
        lambda: (data()[0].numpy().astype(">f8")[::1], data()[1].numpy()),
    ),
    "inputs read backwards": (
        lambda: mlp(Softsign()),
        lambda: (data()[0].numpy()[::-1].copy()[::-1], data()[1].numpy()),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_all_the_same(name):
    build, given = RIGHT[name]
    torch.manual_seed(0)
    agrees(build().double(), given)


class Spread(nn.Module):
    """Returns its scale, which is no sample's, as wide as a piece."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.log_scale = Linear(4, 9), nn.Parameter(torch.zeros(9))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.into(x), self.log_scale


@dataclass
class Doubling:
    """Computes something when it is made."""

    f: Tensor
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.f = 2 * self.f


def test_outputs_that_belong_to_no_sample():
    torch.manual_seed(0)
    x, _ = data()
    model, target = Spread().double(), torch.randn(N, 9).double()

    def loss(out: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
        return (0.5 * ((out[0] - y) / out[1].exp()) ** 2 + out[1]).mean()

    expected = unbatched_hessian(model, loss, x, target)
    v = torch.randn(len(expected)).double()
    each = sample_curvature(model, loss, (x, target), v)
    assert abs(each.mean() - v @ expected @ v) < 1e-10 * expected.norm()
    slopes = [gradient(model, loss, (x[n : n + 1], target[n : n + 1])) for n in range(N)]
    fisher = torch.stack(slopes).T @ torch.stack(slopes) / N
    found = EmpiricalFisherOperator(model, loss, (x, target)) @ torch.eye(len(v)).double()
    assert relative_error(found, fisher) < 1e-12


def test_outputs_that_compute_when_they_are_made():
    torch.manual_seed(0)
    inner, given = mlp(Softsign()).double(), data()
    model = Sequential(inner, Applied(Doubling))  # type: ignore[arg-type]
    expected = gauss_newton(inner, lambda f, y: F.cross_entropy(2 * f, y), given)
    loss = lambda out, y: F.cross_entropy(out.f, y)  # noqa: E731
    assert relative_error(gauss_newton(model, loss, given), expected) < 1e-12
    v = torch.randn(len(expected)).double()
    assert relative_error(GaussNewtonOperator(model, loss, given) @ v, expected @ v) < 1e-12


@pytest.mark.parametrize("way", ["instance", "hook", "global hook", "class"])
def test_recognised_modules_that_were_changed(way, monkeypatch):
    """They compute something else than their type says."""
    torch.manual_seed(0)
    model, (x, y) = mlp().double(), data()
    loss = nn.CrossEntropyLoss()
    handle = None
    if way == "instance":
        loss.forward = lambda f, y: F.cross_entropy(f / 3, y)  # type: ignore[method-assign]
    elif way == "hook":
        loss.register_forward_hook(lambda _module, _args, output: output.div(3))
    elif way == "global hook":
        handle = nn.modules.module.register_module_forward_hook(
            lambda module, args, out: out.sin() if isinstance(module, Linear) else None
        )
    else:
        monkeypatch.setattr(Linear, "forward", lambda m, x: 2 * F.linear(x, m.weight, m.bias))
    expected = unbatched_hessian(model, loss, x, y)
    found = hessian(model, loss, (x, y))
    if handle is not None:
        handle.remove()
    assert relative_error(found, expected) < 1e-10
