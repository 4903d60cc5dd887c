"""Other people's models, losses and data that have no Hessian as they are: refused, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Flatten, Linear, Sequential, Softsign
from torch.nn.utils import parametrizations

from hdlib.curvature import (
    HessianOperator,
    gauss_newton,
    gradient,
    hessian,
    hessian_split,
    sample_curvature,
)

from .zoo import CLASSES, WEIGHTS, Applied, Loss, N, Recurrent, built, mlp, normed, one_hot

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.usefixtures("several_pieces"),
]


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x + 0.1 * torch.randn_like(x))


class Centred(nn.Module):
    """Batch statistics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x - x.mean(0))


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]

    generate_vmap_rule = True


class Adversarial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.out = Linear(4, 5), Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(Reversed.apply(self.features(x).tanh()))


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).detach()


class Uncurved(torch.autograd.Function):
    """Squares, once differentiable: the second derivative takes the first for a constant."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.square()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0].detach())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0].detach() * grads[0]

    generate_vmap_rule = True


class Squares(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Uncurved.apply(x)


def captured() -> nn.Module:
    """A forward in place of a layer's that keeps hold of the layer."""
    model = mlp().double()
    layer: Any = model[0]
    layer.forward = lambda x: F.linear(x, 2 * layer.weight, layer.bias)
    return model


def with_nan_buffer() -> nn.Module:
    model = normed()
    model.get_buffer("1.running_mean")[0] = torch.nan
    return model


MISUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "dropout": (
        lambda: mlp(nn.Dropout(0.5)),
        r"dropout or other noise.*call model\.eval\(\) first",
    ),
    "attention dropout": (
        lambda: Sequential(
            nn.Unflatten(1, (2, 2)), nn.TransformerEncoderLayer(2, 1, 3), Flatten(), Linear(4, 3)
        ),
        r"not a function; call model\.eval\(\) first",
    ),
    "batch norm": (lambda: mlp(nn.BatchNorm1d(5)), r"couples samples.*call model\.eval\(\)"),
    "batch norm without memory": (
        lambda: mlp(nn.BatchNorm1d(5, track_running_stats=False)).eval(),
        "couples samples: batch statistics",
    ),
    "spectral norm in training": (
        lambda: Sequential(parametrizations.spectral_norm(Linear(4, 3)), Softsign(), Linear(3, 3)),
        r"changes the buffer 0\.parametrizations.*call model\.eval\(\) first",
    ),
    "randomised leaky ReLU": (lambda: mlp(nn.RReLU()), "not a function"),
    "noise": (lambda: Noisy().eval(), "dropout or other noise"),
    "batch statistics": (Centred, "couples samples"),
    "time first": (
        lambda: Sequential(nn.Unflatten(1, (1, 4)), Recurrent(nn.GRU, batch_first=False)),
        "batch_first=True",
    ),
    "torch.jit": (
        lambda: torch.jit.script(mlp()),
        "the model .*is a scripted module.*module it was made of",
    ),
    "part by torch.jit": (
        lambda: Sequential(torch.jit.script(Linear(4, 4)), Linear(4, 3)),
        r"0 \(Recursive.*scripted module",
    ),
    "torch.compile": (lambda: torch.compile(mlp()), r"is compiled: pass model\._orig_mod"),
    "wrapper": (lambda: nn.DataParallel(mlp()), r"is a wrapper: pass model\.module"),
    "captured": (captured, r"holds on to 0\.weight of the model"),
    "gradient reversal": (Adversarial, "the gradient is not that of the loss"),
    "differentiated once": (lambda: mlp(Squares()), "not symmetric|finite differences"),
    "straight through": (
        lambda: mlp(Applied(lambda x: x + (x.round() - x).detach())),
        "the gradient is not that of the loss",
    ),
    "half precision inside": (
        lambda: mlp(Applied(lambda x: x.to(torch.bfloat16).to(torch.float64))),
        "or round to half precision",
    ),
    "single precision inside": (
        lambda: mlp(Applied(lambda x: x.type("torch.FloatTensor").type("torch.DoubleTensor"))),
        "single precision, or less, inside; pass dtype=torch.float32",
    ),
    "a matrix in single precision": (
        lambda: mlp(Applied(lambda x: x @ torch.eye(5).type("torch.FloatTensor"))),
        "fails on 4 samples in torch.float64: .*takes dtype=torch.float32",
    ),
    "detached": (Detached, "does not depend on the parameters|is something detached"),
    "weight norm": (
        # PyTorch's second derivative of it is wrong: not even symmetric.
        lambda: Sequential(parametrizations.weight_norm(Linear(4, 3)), Softsign(), Linear(3, 3)),
        "not symmetric",
    ),
    "buffer not finite": (with_nan_buffer, "the loss of 4 samples is nan"),
    "bag of embeddings": (
        lambda: Sequential(Applied(lambda x: x.long().abs() % 3), nn.EmbeddingBag(3, 3)),
        "the second derivative cannot be taken: the derivative for '_embedding_bag_backward'",
    ),
    "complex": (lambda: Linear(4, 3, dtype=torch.complex128), "parameter weight is complex"),
}
ENTRIES: dict[str, Callable[[nn.Module, Loss, Any], object]] = {
    "hessian": hessian,
    "operator": HessianOperator,
    "gradient": gradient,
    "gauss_newton": gauss_newton,
    "hessian_split": hessian_split,
    "sample_curvature": lambda model, loss, data: sample_curvature(
        model, loss, data, torch.ones(sum(p.numel() for p in model.parameters()))
    ),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*nested_tensor:UserWarning")
@pytest.mark.parametrize("name", MISUSED)
def test_models_without_a_hessian(name):
    build, words = MISUSED[name]
    torch.manual_seed(0)
    model = build()
    data = torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))
    for entry in (hessian, HessianOperator):
        with pytest.raises(ValueError, match=words):
            entry(model, F.cross_entropy, data)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("build", [lambda: mlp(nn.Dropout(0.05)), lambda: mlp(nn.BatchNorm1d(5))])
def test_a_first_batch_of_one_sample(build, seed):
    """Which shows little, and cannot be normalised."""
    torch.manual_seed(seed)
    x, y = torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))
    model, cuts = build(), [1, 1, N - 2]
    for entry in (hessian, HessianOperator):
        with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
            entry(model, F.cross_entropy, list(zip(x.split(cuts), y.split(cuts), strict=True)))


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_has_the_door(entry):
    torch.manual_seed(0)
    data = torch.randn(N, 4).double(), torch.randint(CLASSES, (N,))
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        ENTRIES[entry](mlp(nn.Dropout(0.5)), F.cross_entropy, data)
    with pytest.raises(ValueError, match="a sum over the samples; take the mean"):
        ENTRIES[entry](mlp(), nn.CrossEntropyLoss(reduction="sum"), data)


def contrastive(f: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(f @ f.T, torch.arange(len(f)))


def masked(f: Tensor, y: Tensor) -> Tensor:
    mask = (y != 1).double()
    return (F.cross_entropy(f, y, reduction="none") * mask).sum() / mask.sum()


COUPLED: dict[str, tuple[Loss, str]] = {
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "a sum over the samples; take the mean"),
    "sum of squares": (one_hot(nn.MSELoss(reduction="sum")), r"reduction='mean'"),
    "no reduction": (
        nn.CrossEntropyLoss(reduction="none"),
        r"must be one number.*\(4,\).*reduction='mean'",
    ),
    "a Python number": (lambda f, y: 3.0, "must be one number.*got float"),  # type: ignore
    "contrastive": (contrastive, "couples samples.*contrastive"),
    "a mask by hand": (masked, "not their mean"),
    "weighted and not": (
        lambda f, y: F.cross_entropy(f, y, WEIGHTS) + f.square().mean(),
        "not their mean",
    ),
    "variance": (lambda f, y: f.var(), "not their mean"),
    "square of a mean": (lambda f, y: F.cross_entropy(f, y) ** 2, "not their mean"),
    "root mean square": (one_hot(lambda f, t: F.mse_loss(f, t).sqrt()), "not their mean"),
    "worst sample": (
        lambda f, y: F.cross_entropy(f, y, reduction="none").max(),
        "not their mean",
    ),
    "not finite": (lambda f, y: F.cross_entropy(f, y).log().log().log(), "samples is nan"),
    "once differentiable": (lambda f, y: F.multi_margin_loss(f, y, p=2), "cannot be taken"),
    "noise": (lambda f, y: F.cross_entropy(F.dropout(f), y), "dropout or other noise"),
}


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("model", ["recognised stack", "layer norm"])
def test_losses_without_a_hessian(name, model):
    loss, words = COUPLED[name]
    model, x, y = built(model)
    for entry in (hessian, HessianOperator):
        with pytest.raises(ValueError, match=words):
            entry(model, loss, (x, y))


def test_weights_that_differ_between_pieces_only():
    """Sorted by what the loss divides by, each piece alone is a mean."""
    model, x, _ = built("recognised stack")
    mask = torch.ones(N, CLASSES).double()
    mask[9:, 1:] = 0

    def loss(f: Tensor, mask: Tensor) -> Tensor:
        return (f.square() * mask).sum() / mask.sum()

    for entry in (hessian, HessianOperator):
        with pytest.raises(ValueError, match="not their mean"):
            entry(model, loss, (x, mask))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["recognised stack", "layer norm"])
def test_data_that_are_not_finite(name, value):
    model, x, y = built(name)
    targets = torch.randn(N, CLASSES).double()
    targets[20, 1] = value
    x[21, 0], good = value, x.clone()
    for entry in ENTRIES.values():
        with pytest.raises(ValueError, match="inputs have values that are not finite"):
            entry(model, F.cross_entropy, (x, y))
        with pytest.raises(ValueError, match="targets have values that are not finite"):
            entry(model, F.mse_loss, (good, targets))


@pytest.mark.parametrize("size", [10.0, 40.0])
def test_loss_of_almost_nothing(size):
    """Where the loss has vanished, a sum looks like a mean; at other weights it does not."""
    model, x, y = built("layer norm")

    def sure(f: Tensor, y: Tensor) -> Tensor:
        return f + size * F.one_hot(y, CLASSES)

    assert torch.isfinite(hessian(model, lambda f, y: F.cross_entropy(sure(f, y), y), (x, y))).all()
    with pytest.raises(ValueError, match="a sum over the samples"):
        hessian(model, lambda f, y: F.cross_entropy(sure(f, y), y, reduction="sum"), (x, y))


def test_loss_of_tiny_outputs():
    """A small loss is no vanished one."""
    model, x, y = built("layer norm")
    tiny = one_hot(lambda f, t: (1e-20 * (f - t)).square().mean())
    expected = hessian(model, one_hot(F.mse_loss), (x, y))
    found = hessian(model, tiny, (x, y)) * 1e40
    assert (found - expected).abs().max() < 1e-12 * expected.abs().max()
    with pytest.raises(ValueError, match="a sum over the samples"):
        hessian(model, one_hot(lambda f, t: (1e-20 * (f - t)).square().sum()), (x, y))


def test_overflow():
    model, x, y = built("recognised stack")
    x *= 1e200
    for parameter in model.parameters():
        parameter.data *= 1e200
    with pytest.raises(ValueError, match="not finite"):
        hessian(model, F.cross_entropy, (x, y))


def test_model_is_left_as_it_is():
    model = mlp(nn.BatchNorm1d(5)).double()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="couples samples"):
        hessian(model, F.cross_entropy, (torch.randn(N, 4).double(), torch.arange(N) % 3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled()
