"""Data in the forms that people have, and models that return more than a tensor."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Linear
from torch.utils.data import DataLoader, TensorDataset

from hdlib.curvature import (
    EmpiricalFisherOperator,
    GaussNewtonOperator,
    HessianOperator,
    gauss_newton,
    gradient,
    hessian,
    sample_curvature,
)

from .reference import reference_gauss_newton, relative_error, unbatched_hessian
from .zoo import CLASSES, N, mlp, shuffled

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.usefixtures("several_pieces"),
]


def setting() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(2)
    x = torch.randn(N, 4, dtype=torch.float64)
    return mlp(nn.Softsign()).double(), x, torch.randint(CLASSES, (N,))


def agrees(model: nn.Module, loss: Callable, data: Callable[[], Any], plain: nn.Module) -> None:
    """Everything is that of ``plain`` on one pair of tensors."""
    _, x, y = setting()
    expected = unbatched_hessian(plain, F.cross_entropy, x, y)
    curved = reference_gauss_newton(plain, F.cross_entropy, x, y)
    block = torch.randn(len(expected), 3, dtype=torch.float64)
    assert relative_error(hessian(model, loss, data()), expected) < 1e-10
    assert relative_error(gauss_newton(model, loss, data()), curved) < 1e-10
    operators = HessianOperator(model, loss, data()), GaussNewtonOperator(model, loss, data())
    for operator, matrix in zip(operators, (expected, curved), strict=True):
        assert relative_error(operator @ block, matrix @ block) < 1e-10
    slope = gradient(plain, F.cross_entropy, (x, y))
    assert relative_error(gradient(model, loss, data()), slope) < 1e-10
    each = sample_curvature(model, loss, data(), block[:, 0])
    assert abs(each.mean() - block[:, 0] @ expected @ block[:, 0]) < 1e-10 * expected.norm()


# Forms of data.


class Pair(NamedTuple):
    image: Tensor
    label: Tensor


class TwoInputs(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, left: Tensor, right: Tensor, scale: float = 1.0) -> Tensor:
        return self.inner(torch.cat([left, right], 1)) * scale


class OneMapping(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.inner(torch.cat([batch["left"], batch["right"]], 1))


class OneTuple(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, parts: tuple[Tensor, Tensor]) -> Tensor:
        return self.inner(torch.cat(parts, 1))


def named(batch: tuple[Tensor, Tensor], **more: Any) -> dict[str, Any]:
    x, y = batch
    return {"left": x[:, :1], "right": x[:, 1:], "labels": y, **more}


def samples() -> list[tuple[Tensor, Tensor]]:
    _, x, y = setting()
    return shuffled(x, y)


def loader(*tensors: Tensor) -> DataLoader:
    return DataLoader(TensorDataset(*tensors), batch_size=5, shuffle=True)


FORMS: dict[str, tuple[Callable[[nn.Module], nn.Module], Callable[[], Any]]] = {
    "a list of two": (lambda m: m, lambda: list(setting()[1:])),
    "arrays": (lambda m: m, lambda: tuple(t.numpy() for t in setting()[1:])),
    "batches of arrays": (lambda m: m, lambda: [(x.numpy(), y.numpy()) for x, y in samples()]),
    "a tuple of batches": (lambda m: m, lambda: tuple(samples())),
    "a generator": (lambda m: m, lambda: (batch for batch in samples())),
    "a loader": (lambda m: m, lambda: loader(*setting()[1:])),
    "named tuples": (lambda m: m, lambda: [Pair(*batch) for batch in samples()]),
    "tensors that require grad": (
        lambda m: m,
        lambda: (setting()[1].requires_grad_(), setting()[2]),
    ),
    "three in a tuple": (TwoInputs, lambda: [(x[:, :2], x[:, 2:], y) for x, y in samples()]),
    "three tensors": (TwoInputs, lambda: (setting()[1][:, :2], setting()[1][:, 2:], setting()[2])),
    "a loader of three": (
        TwoInputs,
        lambda: loader(setting()[1][:, :2], setting()[1][:, 2:], setting()[2]),
    ),
    "a pair of inputs": (TwoInputs, lambda: [((x[:, :2], x[:, 2:]), y) for x, y in samples()]),
    "a pair for one argument": (
        OneTuple,
        lambda: [([x[:, :2], x[:, 2:]], y) for x, y in samples()],
    ),
    "mappings": (TwoInputs, lambda: [named(batch) for batch in samples()]),
    "one mapping": (TwoInputs, lambda: named(setting()[1:])),
    "mappings of another type": (TwoInputs, lambda: [UserDict(named(b)) for b in samples()]),
    "a number for all": (TwoInputs, lambda: [named(batch, scale=1.0) for batch in samples()]),
    "a tensor of no axis for all": (
        TwoInputs,
        lambda: [named(batch, scale=torch.tensor(1.0)) for batch in samples()],
    ),
    "mappings for one argument": (OneMapping, lambda: [named(batch) for batch in samples()]),
    "a mapping and targets": (
        TwoInputs,
        lambda: [({"left": x[:, :3], "right": x[:, 3:]}, y) for x, y in samples()],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_data(form):
    wrap, data = FORMS[form]
    inner = setting()[0]
    agrees(wrap(inner), F.cross_entropy, data, inner)


def test_targets_in_a_mapping():
    model, x, y = setting()
    targets = {"class": y, "value": x[:, 0]}

    def loss(f: Tensor, targets: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(f, targets["class"]) + F.mse_loss(f[:, 0], targets["value"])

    def joint(f: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(f, y) + F.mse_loss(f[:, 0], x[:, 0])

    expected = unbatched_hessian(model, joint, x, y)
    assert relative_error(hessian(model, loss, [(x, targets)]), expected) < 1e-10
    assert relative_error(hessian(model, loss, (x, targets)), expected) < 1e-10


def test_no_targets():
    model, x, y = setting()

    def loss(f: Tensor, _: None) -> Tensor:
        return f.square().mean()

    expected = unbatched_hessian(model, lambda f, y: f.square().mean(), x, y)
    assert relative_error(hessian(model, loss, (x, None)), expected) < 1e-10


def test_data_stay_as_they_are():
    """In their own type and place, whatever the model does with them."""
    model, x, y = setting()
    single = x.float()
    operator = HessianOperator(model, F.cross_entropy, (single, y))
    (batch, _), *_ = operator._pieces
    assert batch.args[0].data_ptr() == single.data_ptr()
    assert batch.args[0].dtype == torch.float32


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a dataset": (TensorDataset(*setting()[1:]), TypeError, "pass a DataLoader of it"),
    "a tensor": (setting()[1], TypeError, "a batch is"),
    "a number": (3, TypeError, "got int; a batch is"),
    "batches of one tensor": ([(setting()[1],)], TypeError, "got tuple of Tensor for a batch"),
    "no labels": ({"input": setting()[1]}, TypeError, r"\['input'\] has no 'labels'; a batch is"),
    "three for one": ((*setting()[1:], setting()[2]), TypeError, "does not take 2 inputs"),
    "names in a list": ((setting()[1], ["a"] * N), TypeError, "targets hold no tensor.*got list"),
    "lengths": ((setting()[1], setting()[2][:5]), ValueError, f"{N} inputs do not match 5 targets"),
    "lengths in a mapping": (
        [{"left": torch.ones(5, 2), "right": torch.ones(4, 2), "labels": torch.ones(5).long()}],
        ValueError,
        "5 and 4 inputs do not match 5 targets",
    ),
    "nothing": ([], ValueError, "data is empty"),
    "empty batches": ([(torch.ones(0, 4), torch.ones(0).long())], ValueError, "data is empty"),
    "no axis": ((torch.tensor(1.0), torch.tensor(1)), TypeError, "hold no tensor with samples"),
}


@pytest.mark.parametrize("entry", [hessian, HessianOperator, gradient])
@pytest.mark.parametrize("name", REFUSED)
def test_other_forms_are_refused(name, entry):
    data, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        entry(setting()[0], F.cross_entropy, data)


# Models that return more than a tensor.


@dataclass
class Result:
    logits: Tensor
    hidden: list[Tensor]
    cache: Any = None


class Cache:
    """Keys and values, in an object of no known kind."""

    def __init__(self, keys: list[Tensor]) -> None:
        self.keys, self.length = keys, len(keys)


class Returning(nn.Module):
    def __init__(self, inner: nn.Module, wrap: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.wrap = inner, wrap

    def forward(self, x: Tensor) -> Any:
        f = self.inner(x)
        return self.wrap(f, f.sin())


OUTPUTS: dict[str, tuple[Callable[[Tensor, Tensor], Any], Callable[[Any, Tensor], Tensor]]] = {
    "a tuple": (lambda f, h: (f, h), lambda out, y: F.cross_entropy(out[0], y)),
    "a mapping": (lambda f, h: {"f": f, "h": [h]}, lambda out, y: F.cross_entropy(out["f"], y)),
    "a mapping with logits": (lambda f, h: {"logits": f, "hidden": h}, F.cross_entropy),
    "a result": (lambda f, h: Result(f, [h], Cache([h, f])), nn.CrossEntropyLoss()),
    "a result, by hand": (
        lambda f, h: Result(f, [h], Cache([h])),
        lambda out, y: F.cross_entropy(out.logits, y),
    ),
    "a tuple and a cache": (
        lambda f, h: (f, Cache([f, h])),
        lambda out, y: F.cross_entropy(out[1].keys[0], y),
    ),
    "a distribution": (
        lambda f, h: torch.distributions.Categorical(logits=f.detach() * 0 + f),
        lambda out, y: F.cross_entropy(out.logits, y),
    ),
    "integers too": (lambda f, h: (f, f.argmax(1)), lambda out, y: F.cross_entropy(out[0], y)),
    "a constant too": (lambda f, h: (f, torch.ones(3)), lambda out, y: F.cross_entropy(out[0], y)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_are_more_than_a_tensor(name):
    wrap, loss = OUTPUTS[name]
    inner, x, y = setting()
    agrees(Returning(inner, wrap), loss, lambda: (x, y), inner)


@pytest.mark.parametrize("entry", [hessian, gauss_newton, HessianOperator, gradient])
def test_outputs_that_a_loss_of_pytorch_does_not_take(entry):
    inner, x, y = setting()
    words = r"the model returns a tuple, and the loss takes a tensor: pass .* loss\(outputs\[0\]"
    with pytest.raises(ValueError, match=words):
        entry(Returning(inner, lambda f, h: (f, h)), F.cross_entropy, (x, y))


def product(*given: Any) -> Tensor:
    return GaussNewtonOperator(*given) @ torch.ones(43, dtype=torch.float64)


@pytest.mark.parametrize("ask", [gauss_newton, product])
def test_outputs_that_are_not_all_that_the_loss_reads(ask):
    """The Gauss–Newton part is defined by what the model returns."""
    inner, x, y = setting()
    loss = lambda out, y: F.cross_entropy(out(), y)  # noqa: E731
    model = Returning(inner, lambda f, h: lambda: f)
    assert (
        relative_error(hessian(model, loss, (x, y)), hessian(inner, F.cross_entropy, (x, y))) == 0
    )
    with pytest.raises(ValueError, match="reads something else of the model than the tensors"):
        ask(model, loss, (x, y))


# Empirical Fisher.


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 0.0, 3.0])])
def test_empirical_fisher(weight):
    model, x, y = setting()
    loss = nn.CrossEntropyLoss(weight)
    expected, total = torch.zeros(43, 43, dtype=torch.float64), 0.0
    for n in range(N):
        share = 1.0 if weight is None else float(weight[y[n]])
        slope = gradient(model, F.cross_entropy, (x[n : n + 1], y[n : n + 1]))
        expected += share * slope[:, None] * slope
        total += share
    operator = EmpiricalFisherOperator(model, loss, shuffled(x, y))
    found = operator @ torch.eye(43, dtype=torch.float64)
    assert relative_error(found, expected / total) < 1e-12


def test_a_linear_layer_and_its_name():
    model, x, y = setting()
    assert isinstance(model.get_submodule("2"), Linear)
    whole = hessian(model, F.cross_entropy, (x, y))
    part = hessian(model, F.cross_entropy, (x, y), parameters=["2"])
    assert relative_error(part, whole[-len(part) :, -len(part) :]) < 1e-12
