"""Other people's models, losses and data: each Hessian is that of the whole set at once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, TensorDataset

from hdlib.curvature import (
    HessianOperator,
    gauss_newton,
    gradient,
    hessian,
    hessian_split,
    sample_curvature,
    spectrum,
    trace,
)

from .reference import (
    flat_parameters,
    objective,
    reference_gauss_newton,
    relative_error,
    unbatched_hessian,
)
from .zoo import (
    CLASSES,
    LENGTH,
    LOSSES,
    MODELS,
    PLAIN,
    TOKENS,
    WEIGHTS,
    Applied,
    LanguageModel,
    Loss,
    N,
    Pair,
    built,
    mlp,
    shuffled,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),
    pytest.mark.usefixtures("several_pieces"),
]


class Doubled(torch.overrides.TorchFunctionMode):
    """The reference takes float32 weights too; attention by its formula has second derivatives."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (F.cross_entropy, F.nll_loss):
            args = [
                a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in args
            ]
            kwargs = {
                k: v.double() if k == "weight" and v is not None else v for k, v in kwargs.items()
            }
        return func(*args, **kwargs)


def whole(model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian of the loss of all samples, by PyTorch's autograd."""
    loss = copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss
    torch.backends.mha.set_fastpath_enabled(False)
    torch.set_default_dtype(torch.float64)
    with Doubled(), sdpa_kernel(SDPBackend.MATH):
        matrix = unbatched_hessian(model, loss, x.clone(), y.clone())
        theta = flat_parameters(model).requires_grad_()
        value = objective(model, loss, x.clone(), y.clone())(theta)
        slope = torch.autograd.grad(value.reshape(()), theta)[0]
    torch.set_default_dtype(torch.float32)
    torch.backends.mha.set_fastpath_enabled(True)
    return slope, matrix


def check(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, *, plain: nn.Module | None = None
) -> Tensor:
    """All that is computed is that of the whole set, in order and shuffled in other batches.

    It is compared with PyTorch's autograd of ``plain``, the same function, by default the model.
    """
    slope, expected = whole(model if plain is None else plain, loss, x, y)
    for data in ((x, y), shuffled(x, y)):
        assert relative_error(hessian(model, loss, data), expected) < 1e-10
        block = torch.randn(len(expected), 3, dtype=torch.float64)
        products = HessianOperator(model, loss, data) @ block
        assert relative_error(products, expected @ block) < 1e-10
    assert relative_error(gradient(model, loss, shuffled(x, y)), slope) < 1e-10
    return expected


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model, x, y = built(name)
    plain = built(PLAIN[name])[0] if name in PLAIN else None
    expected = check(model, F.cross_entropy, x, y, plain=plain)
    v = torch.randn(len(expected), dtype=torch.float64)
    each = sample_curvature(model, F.cross_entropy, shuffled(x, y), v)
    assert abs(each.mean() - v @ expected @ v) < 1e-10 * v @ v * expected.norm()


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    model, x, y = built("recognised stack")
    expected = check(model, LOSSES[name], x, y)
    v = torch.randn(len(expected), dtype=torch.float64)
    each = sample_curvature(model, LOSSES[name], shuffled(x, y), v)
    assert len(each) == N
    assert abs(each.mean() - v @ expected @ v) < 1e-10 * v @ v * expected.norm()


@pytest.mark.parametrize("name", ["attention", "BERT with padding", "embedding with padding"])
def test_gauss_newton(name):
    model, x, y = built(name)
    loss = LOSSES["class weights, float64"]
    with sdpa_kernel(SDPBackend.MATH):
        expected = reference_gauss_newton(model, loss, x, y)
    curved, bent = hessian_split(model, loss, shuffled(x, y))
    assert relative_error(curved, expected) < 1e-10
    assert relative_error(gauss_newton(model, loss, (x, y)), expected) < 1e-10
    assert torch.linalg.eigvalsh(curved)[0] > -1e-12 * curved.norm()
    assert relative_error(curved + bent, whole(model, loss, x, y)[1]) < 1e-10


@pytest.mark.parametrize("weights", [None, torch.rand(TOKENS).double() + 0.1])
def test_language_model(weights):
    """Means over tokens, of which some are ignored."""
    torch.manual_seed(0)
    model = LanguageModel().double()
    x, y = torch.randint(TOKENS, (N, LENGTH)), torch.randint(TOKENS, (N, LENGTH))
    y[torch.rand(N, LENGTH) < 0.3] = -100
    y[5] = -100

    def flat(f: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(f.transpose(1, 2).flatten(0, 1), y.flatten(), weights)

    expected = check(model, nn.CrossEntropyLoss(weights), x, y)
    assert relative_error(check(model, flat, x, y), expected) < 1e-10


@pytest.mark.parametrize("name", ["recognised stack", "layer norm"])
def test_ignored_targets(name):
    """Also whole pieces of them."""
    model, x, y = built(name)
    y[:10] = y[20] = -100
    check(model, F.cross_entropy, x, y)
    with pytest.raises(ValueError, match="no target counts"):
        hessian(model, F.cross_entropy, (x, torch.full_like(y, -100)))
    with pytest.raises(ValueError, match="no target counts"):
        HessianOperator(model, nn.CrossEntropyLoss(WEIGHTS), (x, torch.full_like(y, -100)))


def test_probabilities_of_a_recognised_stack():
    model, x, _ = built("recognised stack")
    check(model, F.cross_entropy, x, torch.rand(N, CLASSES).double().softmax(1))


def test_outputs_that_are_not_a_tensor():
    model = Pair().double()
    x, y = torch.randn(N, 4).double(), torch.arange(N) % CLASSES

    def loss(outputs: Any, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs["logits"], targets) + outputs["inputs"].mean()

    check(model, loss, x, y)


@pytest.mark.parametrize("form", [list, iter, DataLoader, "loader"])
def test_forms_of_data(form):
    model, x, y = built("layer norm")
    data: Any = {
        list: lambda: [x, y],
        iter: lambda: iter(shuffled(x, y)),
        DataLoader: lambda: DataLoader(TensorDataset(x, y)),
        "loader": lambda: DataLoader(TensorDataset(x, y), batch_size=5, shuffle=True),
    }[form]
    loss = LOSSES["ignored class"]
    expected = whole(model, loss, x, y)[1]
    assert relative_error(hessian(model, loss, data()), expected) < 1e-10


def test_single_precision_all_the_way():
    """A model that has float32 inside: refused in float64, and certified as what it is."""
    torch.manual_seed(0)
    inside = Applied(lambda x: (x.float() if x.dtype == torch.float32 else single(x)).tanh())

    def single(x: Tensor) -> Tensor:
        return x.type("torch.FloatTensor").type("torch.DoubleTensor")

    model, exact = mlp(inside), mlp(nn.Tanh())
    exact.load_state_dict(model.state_dict())
    data = torch.randn(N, 4), torch.randint(CLASSES, (N,))
    with pytest.raises(ValueError, match=r"pass dtype=torch\.float32, and results will say so"):
        hessian(model, F.cross_entropy, data)
    expected = hessian(exact, F.cross_entropy, data)
    rounding = 1e-5 * expected.norm()
    found = hessian(model, F.cross_entropy, data, dtype=torch.float32)
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T)
    assert (found - expected).norm() < rounding
    slope = gradient(model, F.cross_entropy, data, dtype=torch.float32)
    assert (slope - gradient(exact, F.cross_entropy, data)).norm() < 1e-5 * slope.norm()
    operator = HessianOperator(model, F.cross_entropy, data, dtype=torch.float32)
    s = spectrum(operator, top=3, bottom=1)
    assert s.dtype == "float32"
    assert "float32" in repr(s)
    assert abs(s.eigenvalues[-1] - torch.linalg.eigvalsh(expected)[-1]) < rounding
    assert abs(trace(operator, products=130).value - expected.trace()) < 1e-4 * expected.trace()


def test_nothing_of_the_users_is_changed():
    """Neither the model, nor the data, nor PyTorch's settings, nor its random numbers."""
    model, x, y = built("running mean")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mine, state = (x.clone(), y.clone()), torch.get_rng_state()
    for entry in (hessian, gauss_newton, HessianOperator, gradient):
        entry(model, LOSSES["targets changed in place"], (x, y))
        with torch.no_grad():
            entry(model, F.cross_entropy, (x, y))
        with pytest.raises(ValueError, match="a sum over"):
            entry(model, nn.CrossEntropyLoss(reduction="sum"), (x, y))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(x, mine[0])
    assert torch.equal(y, mine[1])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
    assert model.training
