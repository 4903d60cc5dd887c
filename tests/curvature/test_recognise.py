"""What is recognised is what it says it is; anything else goes the general way, and is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature import HessianOperator, hessian
from hdlib.curvature.structure.modular.engine import ModularEngine
from hdlib.curvature.structure.stacks.engine import StackEngine
from hdlib.models import LeNetTiny, ModularTransformer, PlainTransformer
from hdlib.tasks import modular_task

from .reference import relative_error, unbatched_hessian
from .stacks import recognised

P = 5
PAIRS = modular_task(P, train_fraction=0.9, seed=0).train


def transformer(kind: type[ModularTransformer] = ModularTransformer, **options: Any) -> Any:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 4, "n_heads": 2, "activation": "relu", "mlp_width": 6}
    return kind(P, **(settings | options)).double()


def test_one_door_for_both():
    tokens = PAIRS.tokens()
    assert isinstance(recognised(transformer(), tokens), ModularEngine)
    assert isinstance(recognised(transformer(PlainTransformer), tokens), ModularEngine)
    assert isinstance(recognised(transformer(), tokens, nn.CrossEntropyLoss()), ModularEngine)
    images = torch.randn(1, 1, 28, 28, dtype=torch.float64)
    assert isinstance(recognised(LeNetTiny(1).double(), images), StackEngine)


def smoothed(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, label_smoothing=0.1)


@pytest.mark.parametrize("loss", [smoothed, F.mse_loss, nn.CrossEntropyLoss(label_smoothing=0.1)])
def test_other_losses_of_a_transformer(loss):
    assert recognised(transformer(), PAIRS.tokens(), loss) is None


class Scaled(ModularTransformer):
    def forward(self, tokens: Tensor) -> Tensor:
        return 2 * super().forward(tokens)


class OtherTables(ModularTransformer):
    def tables(self) -> Any:
        tables = super().tables()
        return tables._replace(base=3 * tables.base)


def hooked(model: Any) -> None:
    model.register_forward_hook(lambda _module, _args, output: output.sin())


def hooked_inside(model: Any) -> None:
    model.mlp[0].register_forward_hook(lambda _module, _args, output: output.sin())


def other_activation(model: Any) -> None:
    model.mlp[1] = nn.Tanh()


def without_bias(model: Any) -> None:
    model.mlp[2] = nn.Linear(6, 4, bias=False).double()


def tied(model: Any) -> None:
    model.value = model.key


def frozen(model: Any) -> None:
    model.query.requires_grad_(False)


def parametrised(model: Any) -> None:
    nn.utils.parametrizations.orthogonal(model.mlp[0])


def patched(model: Any) -> None:
    model.forward = Twice(model.forward)


class Twice:
    """Bound to the module by the copy that is made of both."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def __call__(self, tokens: Tensor) -> Tensor:
        return 2 * self.method(tokens)


OTHERS: dict[str, tuple[type[ModularTransformer], Callable[[Any], None]]] = {
    "own forward": (Scaled, lambda model: None),
    "own tables": (OtherTables, lambda model: None),
    "hook": (ModularTransformer, hooked),
    "hook on a layer": (ModularTransformer, hooked_inside),
    "other activation": (ModularTransformer, other_activation),
    "without a bias": (ModularTransformer, without_bias),
    "tied": (ModularTransformer, tied),
    "frozen": (ModularTransformer, frozen),
    "parametrised": (ModularTransformer, parametrised),
    "patched": (ModularTransformer, patched),
}


def is_right(model: nn.Module, x: Tensor, y: Tensor, expected: Tensor | None = None) -> None:
    expected = unbatched_hessian(model, F.cross_entropy, x, y) if expected is None else expected
    operator = HessianOperator(model, F.cross_entropy, (x, y))
    found = operator @ torch.eye(len(expected), dtype=torch.float64)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("name", OTHERS)
def test_transformers_that_compute_something_else(name):
    kind, change = OTHERS[name]
    model = transformer(kind)
    change(model)
    assert recognised(model, PAIRS.tokens()) is None
    is_right(model, PAIRS.tokens(), PAIRS.targets)


def test_a_forward_that_is_patched_in_its_class(monkeypatch):
    model, plain = transformer(), ModularTransformer.forward
    monkeypatch.setattr(ModularTransformer, "forward", lambda self, x: 2 * plain(self, x))
    assert recognised(model, PAIRS.tokens()) is None
    is_right(model, PAIRS.tokens(), PAIRS.targets)


def test_another_last_token():
    """The plain forward pass reads it; the factored one takes it to be "="."""
    tokens = PAIRS.tokens().clone()
    tokens[::2, 2] = 1
    for kind in (PlainTransformer, ModularTransformer):
        model = transformer(kind)
        assert isinstance(recognised(model, tokens), ModularEngine)
        is_right(model, tokens, PAIRS.targets)


@pytest.mark.parametrize("wrong", [-1, P + 1])
def test_tokens_that_are_none(wrong):
    tokens = PAIRS.tokens().clone()
    tokens[3, 1] = wrong
    for entry in (HessianOperator, hessian):
        with pytest.raises(ValueError, match="model or loss fails"):
            entry(transformer(), F.cross_entropy, (tokens, PAIRS.targets))


def test_sequences_of_another_length():
    with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
        HessianOperator(transformer(), F.cross_entropy, (PAIRS.tokens()[:, :2], PAIRS.targets))
