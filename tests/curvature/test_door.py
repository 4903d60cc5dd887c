"""Other people's models and losses: right however the data are cut, or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import hdlib.curvature.operator as operator_module
from hdlib.curvature import HessianOperator, gauss_newton, gradient, hessian
from hdlib.curvature.door import twice_differentiable

N, WIDTH, CLASSES = 150, 5, 3
WEIGHT = torch.tensor([0.2, 1.0, 3.0])


def mlp(*, last: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh(), nn.Linear(4, last))


def relu_stack() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 4), nn.ReLU(), nn.Linear(4, CLASSES))


class Attention(nn.Module):
    """One attention block over three tokens of a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(WIDTH, 3 * 4), nn.Linear(4, CLASSES)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.into(x).unflatten(1, (3, 4))
        return self.out(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.into, self.out = nn.Linear(WIDTH, 2 * 4), nn.Linear(4, CLASSES)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(self.into(x).unflatten(1, (2, 4))).mean(1))


class Embedded(nn.Module):
    """Words, of which the first one pads."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4, padding_idx=0)
        self.out = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        words = (x.abs() * 3).long().clamp_max(5)
        return self.out(torch.tanh(self.words(words)).mean(1))


def adapted() -> nn.Module:
    """A recognised stack whose first layer has a ``forward`` of its own, as an adapter gives it."""
    model = relu_stack()
    layer = model.get_submodule("0")
    assert isinstance(layer, nn.Linear)
    layer.forward = MethodType(lambda self, x: F.linear(x, self.weight, self.bias) * 1.5, layer)
    return model


def normalised() -> nn.Module:
    model = nn.Sequential(nn.Linear(WIDTH, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, CLASSES))
    model.train()
    model(torch.randn(40, WIDTH))
    return model.eval()


MODELS: dict[str, Callable[[], nn.Module]] = {
    "tanh": mlp,
    "relu": relu_stack,
    "attention": Attention,
    "encoder": Encoder,
    "padding": Embedded,
    "adapter": adapted,
    "batch norm, eval": normalised,
}
LOSSES = {
    "cross-entropy": F.cross_entropy,
    "class weights in single precision": nn.CrossEntropyLoss(weight=WEIGHT),
    "the same as a function": partial(F.cross_entropy, weight=WEIGHT),
    "ignored targets": nn.CrossEntropyLoss(ignore_index=1),
    "weights and smoothing": nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1),
    "negative log-likelihood": lambda f, y: F.nll_loss(F.log_softmax(f, 1), y),
    "focal": lambda f, y: ((1 - F.softmax(f, 1)[range(len(y)), y]) ** 2).mean(),
}


def data(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, WIDTH, generator=generator)
    # In order of the class, so that pieces differ in weight, and one has none that counts.
    return x, torch.randint(CLASSES, (N,), generator=generator).sort().values


def reference(model: nn.Module, loss: Callable, x: Tensor, y: Tensor) -> Tensor:
    """The Hessian of the loss of all samples at once, by autograd."""
    model = model.double()
    names = [name for name, _ in model.named_parameters()]
    shapes = [parameter.shape for parameter in model.parameters()]
    sizes = [shape.numel() for shape in shapes]
    if isinstance(loss, nn.CrossEntropyLoss):
        loss = type(loss)(
            weight=None if loss.weight is None else loss.weight.double(),
            ignore_index=loss.ignore_index,
            label_smoothing=loss.label_smoothing,
        )
    elif isinstance(loss, partial):
        loss = partial(loss.func, weight=loss.keywords["weight"].double())

    def value(theta: Tensor) -> Tensor:
        parts = [p.view(s) for p, s in zip(theta.split(sizes), shapes, strict=True)]
        return loss(functional_call(model, dict(zip(names, parts, strict=True)), (x.double(),)), y)

    theta = torch.cat([p.detach().flatten() for p in model.parameters()])
    with twice_differentiable():
        found = torch.autograd.functional.hessian(value, theta)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", MODELS)
def test_right_however_the_data_are_cut(model: str, loss: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operator_module, "SAMPLES", 64)
    torch.manual_seed(0)
    network, measure, (x, y) = MODELS[model](), LOSSES[loss], data()
    order = torch.randperm(N)
    cuts = list(zip(x[order].split(37), y[order].split(37), strict=True))
    ours = hessian(network, measure, (x, y))
    again = hessian(network, measure, cuts)
    block = torch.eye(len(ours), dtype=torch.float64)
    products = HessianOperator(network, measure, cuts) @ block
    expected = reference(network, measure, x, y)
    size = expected.abs().max()
    for found in (ours, again, products):
        assert (found - expected).abs().max() <= 1e-10 * size


@pytest.mark.parametrize("model", ["relu", "padding", "attention"])
def test_the_gauss_newton_part_is_positive_and_that_of_autograd(model: str):
    torch.manual_seed(0)
    network, (x, y) = MODELS[model](), data()
    found = gauss_newton(network, F.cross_entropy, (x, y))
    assert torch.linalg.eigvalsh(found).min() > -1e-12 * found.abs().max()
    network = network.double()
    with torch.no_grad():
        p = torch.softmax(network(x.double()), 1)
    rows = []
    for c in range(CLASSES):
        for n in range(N):
            with twice_differentiable():
                f = network(x[n : n + 1].double())[0, c]
            slopes = torch.autograd.grad(f, list(network.parameters()), materialize_grads=True)
            rows.append(torch.cat([slope.flatten() for slope in slopes]))
    jacobian = torch.stack(rows).view(CLASSES, N, -1)
    curved = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("cnp,ncd,dnq->pq", jacobian, curved, jacobian) / N
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


@pytest.mark.parametrize("ask", [hessian, HessianOperator, gradient])
def test_targets_that_are_all_ignored(ask: Callable):
    x, y = data()
    with pytest.raises(ValueError, match="no target counts: all are ignored by the loss"):
        ask(mlp(), nn.CrossEntropyLoss(ignore_index=1), (x, torch.ones_like(y)))


def contrastive(f: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(f @ f.T, torch.arange(len(f)))


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, CLASSES))


def training_norm() -> nn.Module:
    return normalised().train()


REFUSED = {
    "a sum": (mlp, nn.CrossEntropyLoss(reduction="sum"), "a sum over the samples; take the mean"),
    "no reduction": (mlp, nn.CrossEntropyLoss(reduction="none"), "must be one number"),
    "coupled samples": (mlp, contrastive, "Samples that depend on each other"),
    "dropout": (dropping, F.cross_entropy, r"call model\.eval\(\) first"),
    "batch statistics": (training_norm, F.cross_entropy, r"batch statistics\? call model\.eval"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("ask", [hessian, gauss_newton, HessianOperator, gradient])
def test_what_has_no_hessian_is_refused_in_words(ask: Callable, case: str):
    build, loss, message = REFUSED[case]
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=message):
        ask(build(), loss, data())


@pytest.mark.parametrize("ask", [hessian, HessianOperator, gradient])
@pytest.mark.parametrize("build", [mlp, relu_stack])
def test_data_that_are_not_finite(ask: Callable, build: Callable):
    x, y = data()
    x[120, 3] = torch.nan
    with pytest.raises(ValueError, match="inputs have values that are not finite"):
        ask(build(), F.cross_entropy, (x, y))


@pytest.mark.parametrize("ask", [hessian, gauss_newton, HessianOperator, gradient])
def test_a_forward_that_a_copy_would_share(ask: Callable):
    model = relu_stack()
    layer = model.get_submodule("0")
    before = layer.forward
    layer.forward = lambda x: 1.5 * before(x)
    with pytest.raises(ValueError, match="forward of 0 was replaced by a function that holds on"):
        ask(model, F.cross_entropy, data())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wrappers_of_a_model():
    scripted = torch.jit.script(mlp())
    assert isinstance(scripted, nn.Module)
    with pytest.raises(ValueError, match="the model is a scripted module"):
        hessian(scripted, F.cross_entropy, data())
    with pytest.raises(ValueError, match=r"DataParallel is a wrapper: pass model\.module"):
        hessian(nn.DataParallel(mlp()), F.cross_entropy, data())


class Detached(nn.Module):
    """Computes with its weights and a copy of them: half of its slope is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight.T) * (x @ self.weight.detach().T)


@pytest.mark.parametrize("ask", [hessian, HessianOperator])
def test_second_derivatives_that_are_not_those_of_the_loss(ask: Callable):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="second derivatives are not"):
        ask(Detached(), F.cross_entropy, data())
