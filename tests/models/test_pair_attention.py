"""The pass over known pairs, and its gradient by hand, against differentiating the plain pass."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.models import PlainTransformer
from hdlib.models.pair_attention import PairAttention
from hdlib.tasks import modular_task
from hdlib.training import cross_entropy_of_errors

OPTIONS = [
    {"activation": activation, "mlp_width": mlp_width, "equals_logit": equals, "n_heads": n_heads}
    for activation, mlp_width, equals, n_heads in product(
        ["none", "relu"], [0, 10], [False, True], [1, 2, 4]
    )
]
OPTIONS += [option | {"attention": "uniform"} for option in OPTIONS if option["n_heads"] == 2]


def label(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


def case(p: int = 7, **options: Any) -> tuple[PlainTransformer, Tensor, Tensor]:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 8, "n_heads": 2} | options
    model = PlainTransformer(p, **settings).double()
    for name, parameter in model.named_parameters():
        # Biases start at 0, where a forgotten one would not be seen.
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    pairs = modular_task(p, train_fraction=0.6, seed=0).train
    return model, pairs.tokens(), pairs.targets


def known(model: PlainTransformer, tokens: Tensor) -> PairAttention:
    return PairAttention(tokens, p=model.p, n_heads=model.n_heads)


def gradient(model: PlainTransformer, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def check_gradient(model: PlainTransformer, tokens: Tensor, targets: Tensor) -> None:
    """Of the loss of training, in both types, tensor by tensor."""
    expected = gradient(model, F.cross_entropy(model(tokens), targets))
    whole = torch.stack([part.norm() for part in expected.values()]).norm()
    pairs = known(model, tokens)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        logits = model.to(dtype).logits(pairs)
        found = gradient(model, cross_entropy_of_errors(logits, targets))
        for name, part in found.items():
            assert part.dtype == dtype
            apart = (part.double() - expected[name]).norm()
            assert apart <= tolerance * max(expected[name].norm(), 1e-3 * whole), name


@pytest.mark.parametrize("options", OPTIONS, ids=label)
def test_every_option(options):
    model, tokens, targets = case(**options)
    logits, expected = model.logits(known(model, tokens)), model(tokens)
    assert (logits - expected).norm() <= 1e-14 * expected.norm()
    check_gradient(model, tokens, targets)


def test_multiplication():
    model, _, _ = case(activation="relu")
    pairs = modular_task(7, "multiply", train_fraction=0.6, seed=0).train
    check_gradient(model, pairs.tokens(), pairs.targets)


@pytest.mark.parametrize("scale", [1e-3, 5.0, 30.0])
def test_flat_and_saturated_attention(scale):
    """Uniform weights, and weights of which one is nearly or exactly 1."""
    model, tokens, targets = case(activation="relu")
    with torch.no_grad():
        model.get_parameter("query").mul_(scale)
        model.get_parameter("key").mul_(scale)
    logits, expected = model.logits(known(model, tokens)), model(tokens)
    assert (logits - expected).norm() <= 1e-13 * expected.norm()
    found = gradient(model, cross_entropy_of_errors(logits, targets))
    for name, part in gradient(model, F.cross_entropy(expected, targets)).items():
        assert (found[name] - part).norm() <= 1e-12 * max(part.norm(), 1e-3), name


def test_all_pairs_one_pair_and_repeated_pairs():
    model, _, _ = case()
    grid = modular_task(7, train_fraction=0.6, seed=0).grid
    for chosen in (torch.arange(49), torch.tensor([5]), torch.tensor([5, 8, 5, 5])):
        check_gradient(model.double(), grid.tokens()[chosen], grid.targets[chosen])


def test_what_is_no_pair():
    tokens = torch.tensor([[0, 6, 7], [3, 7, 7]])
    with pytest.raises(ValueError, match="tokens 0 … 7 before the last, allowed are 0 … 6"):
        PairAttention(tokens, p=7, n_heads=2)
    with pytest.raises(ValueError, match=r"tokens have shape \(2, 2\), expected \(n, 3\)"):
        PairAttention(tokens[:, :2], p=7, n_heads=2)


@pytest.mark.parametrize("loss", [cross_entropy_of_errors, F.cross_entropy])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_a_second_derivative_is_refused(loss, activation):
    """It would not be that of the pass: what is written out is the first."""
    model, tokens, targets = case(activation=activation)
    value = loss(model.logits(known(model, tokens)), targets)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(value, [model.get_parameter("query")], create_graph=True)
