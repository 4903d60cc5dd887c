"""Products with the Hessian against dense Hessians and PyTorch's own double backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap

from hdlib.curvature import HessianOperator, hessian
from hdlib.models import LeNetTiny, ModularTransformer, PlainTransformer
from hdlib.tasks import load_images, modular_task
from hdlib.training import cross_entropy_float64

from . import test_general as general
from .reference import flat_parameters, objective, reference_products, relative_error

FLOAT64 = torch.float64


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.huber_loss(outputs, F.one_hot(targets, 3).double(), delta=0.5)


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, F.one_hot(targets, 3).to(outputs.dtype))


def mlp(samples: int = 9, loss=F.cross_entropy):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Softsign(), nn.Linear(6, 3)).double()
    return model, loss, torch.randn(samples, 4, dtype=FLOAT64), torch.arange(samples) % 3


def lenet(width: int):
    x, y = load_images("digits").train
    torch.manual_seed(0)
    return LeNetTiny(width), F.cross_entropy, x[:8], y[:8]


def transformer(kind: type[ModularTransformer] = ModularTransformer, p: int = 7, **options):
    torch.manual_seed(0)
    pairs = modular_task(p, train_fraction=0.6, seed=0).train
    settings: dict[str, Any] = {"width": 8, "n_heads": 2, "activation": "relu"} | options
    model = kind(p, **settings).double()
    return model, F.cross_entropy, pairs.tokens(), pairs.targets


def frozen_transformer():
    model, *rest = transformer(mlp_width=10)
    model.position.requires_grad_(False)
    return model, *rest


class Doubled(ModularTransformer):
    def forward(self, tokens: Tensor) -> Tensor:
        return 2 * super().forward(tokens)


def named(name: str):
    model, x, y = general.make(name)
    return model, F.cross_entropy, x, y


def another_loss():
    model, _, x, y = transformer(p=3)
    return model, squares, x, y


def batch_norm():
    model, *rest = mlp()
    model.insert(1, nn.BatchNorm1d(6).double())
    model(rest[1])
    return model.eval(), *rest


CASES = {
    "LeNet-tiny of width 1": lambda: lenet(1),
    "LeNet-tiny of width 2": lambda: lenet(2),
    "softsign, cross-entropy": mlp,
    "softsign, mean squared error": lambda: mlp(loss=squares),
    "softsign, Huber": lambda: mlp(loss=huber),
    "batch norm in evaluation": batch_norm,
    "transformer": transformer,
    "transformer with MLP": lambda: transformer(mlp_width=10, equals_logit=True),
    "linear transformer": lambda: transformer(activation="none"),
    "plain transformer": lambda: transformer(PlainTransformer),
    "transformer of its own forward": lambda: transformer(Doubled),
    "transformer, another loss": another_loss,
    "frozen transformer": frozen_transformer,
} | {
    name: lambda name=name: named(name)
    for name in ("layer norm", "own forward", "frozen layer", "module used twice", "shared weight")
}


def random_block(size: int, columns: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, columns, generator=generator, dtype=FLOAT64)


@pytest.mark.parametrize("name", CASES)
def test_products(name):
    model, loss, x, y = CASES[name]()
    operator = HessianOperator(model, loss, (x, y))
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert operator.shape == (size, size)
    assert operator.dtype == FLOAT64
    block = random_block(size, 5)
    products = operator @ block
    assert relative_error(products, hessian(model, loss, (x, y)) @ block) < 1e-12
    value, theta = objective(model, loss, x, y), flat_parameters(model)
    for v, product in zip(block.T, products.T, strict=True):
        expected = torch.autograd.functional.vhp(value, theta, v)[1]
        assert isinstance(expected, Tensor)
        assert relative_error(product, expected) < 1e-12
        assert relative_error(operator @ v, product) < 1e-13
    inner = block.T @ products
    assert (inner - inner.T).abs().max() < 1e-13 * inner.abs().max()


@pytest.mark.parametrize(
    "case", [lambda: mlp(1203), lambda: transformer(p=31, width=4)], ids=["general", "factored"]
)
def test_batches_do_not_matter(case):
    """More samples than a piece, in batches of sizes that are no multiples of one another."""
    model, loss, x, y = case()
    block = random_block(HessianOperator(model, loss, (x, y)).shape[0], 5)
    whole = HessianOperator(model, loss, (x, y)) @ block
    assert relative_error(whole, reference_products(model, loss, x, y, block)) < 1e-12
    sizes = [7, 0, 100, len(x) - 107]
    pieces = list(zip(x.split(sizes), y.split(sizes), strict=True))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=211)
    for data in (pieces, (piece for piece in pieces), loader):
        operator = HessianOperator(model, loss, data)
        for _ in range(2):
            assert relative_error(operator @ block, whole) < 1e-13
    twice = HessianOperator(model, loss, [(x, y), (x[:9], y[:9]), (x[9:], y[9:])])
    assert relative_error(twice @ block, whole) < 1e-13
    doubled = HessianOperator(model, loss, [(x, y), (x[:9], y[:9])]) @ block
    part = HessianOperator(model, loss, (x[:9], y[:9])) @ block
    expected = (len(x) * whole + 9 * part) / (len(x) + 9)
    assert relative_error(doubled, expected) < 1e-13


@pytest.mark.parametrize("case", [mlp, transformer], ids=["general", "factored"])
def test_the_model_is_left_alone_and_may_move_on(case):
    model, loss, x, y = case()
    model.float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for dtype in (torch.float32, FLOAT64):
        operator = HessianOperator(model, loss, (x, y), dtype=dtype)
        block = random_block(operator.shape[0], 2).to(dtype)
        products = operator @ block
        assert products.dtype == dtype
        assert not products.requires_grad
        for name, value in model.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, before[name])
        assert all(p.grad is None and p.requires_grad for p in model.parameters())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
        assert torch.equal(operator @ block, products)
        model.load_state_dict(before)


def trained_to_tiny_errors() -> tuple[PlainTransformer, Tensor, Tensor]:
    """A network that has all training pairs right, made so sure of it that p − y is about 1e-7."""
    torch.manual_seed(0)
    pairs = modular_task(23, train_fraction=0.4, seed=0).train
    model = PlainTransformer(23, width=32, n_heads=1, activation="relu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        cross_entropy_float64(model(pairs.tokens()), pairs.targets).backward()
        optimizer.step()
    model.double()
    with torch.no_grad():
        logits = model(pairs.tokens())
        others = logits.scatter(1, pairs.targets[:, None], -torch.inf).max(1).values
        margins = logits.gather(1, pairs.targets[:, None])[:, 0] - others
        assert margins.min() > 0
        model.unembedding.mul_(19 / margins.median())
        error = 1 - model(pairs.tokens()).softmax(1).gather(1, pairs.targets[:, None])
    assert 1e-9 < error.median() < 1e-6
    return model, pairs.tokens(), pairs.targets


def test_single_precision_where_the_loss_is_tiny():
    """The factored products keep what rounding of p − y in float32 would lose."""
    model, x, y = trained_to_tiny_errors()
    exact = HessianOperator(model, F.cross_entropy, (x, y))
    single = HessianOperator(model, F.cross_entropy, (x, y), dtype=torch.float32)
    block = random_block(exact.shape[0], 16)
    vectors = torch.linalg.qr(exact @ (exact @ block))[0]
    norm = torch.linalg.matrix_norm(vectors.T @ (exact @ vectors), 2)
    names = dict(model.float().named_parameters())

    def gradient(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        return grad(lambda p: F.cross_entropy(functional_call(model, p, (x,)), y))(parameters)

    pull = vjp(gradient, {name: parameter.detach() for name, parameter in names.items()})[1]

    def naive(v: Tensor) -> Tensor:
        parts = v.split([parameter.numel() for parameter in names.values()])
        directions = {
            name: part.view_as(names[name]) for name, part in zip(names, parts, strict=True)
        }
        return torch.cat([part.flatten() for part in pull(directions)[0].values()])

    anywhere = torch.linalg.qr(random_block(len(block), 16, seed=2))[0]
    some = torch.cat([vectors, anywhere], 1)
    error = ((single @ some.float()).double() - exact @ some).norm(dim=0).max() / norm
    assert error < 2e-6
    plain = vmap(naive, in_dims=1, out_dims=1)(vectors.float()).double()
    lost = (plain - exact @ vectors).norm(dim=0).max() / norm
    print(f"\nfactored {error:.1e}, by autograd in single precision {lost:.1e}")
    assert lost > 1e-4


@pytest.mark.parametrize("name", ["softsign, cross-entropy", "LeNet-tiny of width 2"])
def test_single_precision_in_general(name):
    model, loss, x, y = CASES[name]()
    exact = hessian(model, loss, (x, y))
    operator = HessianOperator(model, loss, (x, y), dtype=torch.float32)
    assert operator.dtype == torch.float32
    vectors = torch.linalg.qr(random_block(len(exact), 9))[0]
    error = (operator @ vectors.float()).double() - exact @ vectors
    assert error.norm(dim=0).max() < 2e-6 * torch.linalg.matrix_norm(exact, 2)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (torch.zeros(44, 2, dtype=FLOAT64), r"vectors must be \(51, b\), got \(44, 2\)"),
        (torch.zeros(2, 51, dtype=FLOAT64), r"vectors must be \(51, b\), got \(2, 51\)"),
        (torch.zeros(44, dtype=FLOAT64), r"vectors must be \(51, b\), got \(44,\)"),
        (torch.zeros(51, 2, 1, dtype=FLOAT64), r"vectors must be \(51, b\), got \(51, 2, 1\)"),
        (torch.zeros((), dtype=FLOAT64), r"vectors must be \(51, b\), got \(\)"),
        (torch.zeros(51, 2), r"vectors must be torch\.float64, got torch\.float32"),
        (torch.zeros(51), r"vectors must be torch\.float64, got torch\.float32"),
    ],
)
def test_vectors_that_do_not_fit(block, words):
    model, loss, x, y = mlp()
    with pytest.raises(ValueError, match=words):
        HessianOperator(model, loss, (x, y)).__matmul__(block)


def with_nan(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    return model


@pytest.mark.parametrize("case", [mlp, transformer], ids=["general", "factored"])
def test_what_has_no_hessian(case):
    model, loss, x, y = case()
    cases: list[tuple[Any, type[Exception], str]] = [
        ((x[:0], y[:0]), ValueError, "data is empty"),
        ([], ValueError, "data is empty"),
        ((x, y[:3]), ValueError, f"{len(x)} inputs do not match 3 targets"),
        ([(x, y, y)], TypeError, "does not take 2 inputs; a batch is"),
    ]
    for data, kind, words in cases:
        with pytest.raises(kind, match=words):
            HessianOperator(model, loss, data)
    for dtype in (torch.float16, torch.int64):
        with pytest.raises(ValueError, match=rf"dtype={dtype}: allowed are torch\.float64 and"):
            HessianOperator(model, loss, (x, y), dtype=dtype)
    with pytest.raises(ValueError, match=r"parameter \S+ has values that are not finite"):
        HessianOperator(with_nan(model), loss, (x, y))
    with pytest.raises(ValueError, match="has no parameter that requires grad"):
        HessianOperator(model.requires_grad_(False), loss, (x, y))
