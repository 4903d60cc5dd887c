"""Models and losses of the kinds that people have, for 23 samples."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import Embedding, Flatten, Linear, ReLU, Sequential, Softsign
from torch.nn.utils import parametrizations

N, CLASSES, TOKENS, LENGTH = 23, 3, 7, 4
Loss = Callable[[Any, Tensor], Tensor]


# Models, each with the inputs it takes.


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.out = Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.attention(x, x, x, need_weights=False)[0].mean(1))


class Bert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = Embedding(TOKENS, 2, padding_idx=0)
        self.places = Embedding(LENGTH, 2)
        self.block = nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, batch_first=True)
        self.out = Linear(2, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.places.weight
        return self.out(self.block(x, src_key_padding_mask=tokens == 0)[:, 0])


class LanguageModel(nn.Module):
    """Next tokens, causal, with tied embeddings; classes along axis 1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = Embedding(TOKENS, 4)
        self.qkv = Linear(4, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        q, k, v = self.qkv(x).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return (x @ self.words.weight.T).transpose(1, 2)


class Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.RNNBase], *, batch_first: bool = True) -> None:
        super().__init__()
        self.cell = kind(4, 3, batch_first=batch_first)
        self.out = Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Linear(4, CLASSES), Linear(4, CLASSES)
        self.unused = nn.Parameter(torch.ones(2))
        self.none = nn.Parameter(torch.ones(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * torch.sigmoid(self.b(x))


class Pair(nn.Module):
    """Returns more than a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(x), "inputs": x}


class Counting(nn.Module):
    """Keeps a running mean, which it does not use, and its last hidden layer, in forward."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp(Softsign())
        self.register_buffer("seen", torch.zeros(4))
        self.last: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x.detach().mean(0)
        self.last = [self.inner[0](x)]
        return self.inner[1:](self.last[0])


class SinglePrecision(nn.Module):
    """Makes numbers of its own in PyTorch's default type: the first state of a recurrent net."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRU(4, 3, batch_first=True), Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        start = torch.zeros(1, len(x), 3) + torch.tensor(0.5)
        return self.out(self.cell(x, start)[0][:, -1])


class Cube(torch.autograd.Function):
    """As people write them: context and forward in one, no rule for batches of vectors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Inplace(nn.Module):
    """Changes its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp(Softsign())

    def forward(self, x: Tensor) -> Tensor:
        x += 1
        return self.inner(x).mul_(2)


class Saving(nn.Module):
    """Computes its hidden layer again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = Sequential(Linear(4, 5), Softsign()), Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False)
        return self.out(hidden)


class Routed(nn.Module):
    """Each sample goes to the best of its experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Linear(4, 2)
        self.experts = nn.ModuleList([mlp(Softsign()), mlp(nn.GELU())])

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = self.gate(x).softmax(1).max(1)
        outputs = torch.zeros(len(x), CLASSES)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).nonzero()[:, 0]
            if len(rows):
                outputs = outputs.index_add(0, rows, weight[rows, None] * expert(x[rows]))
        return outputs


class TwoNames(nn.Module):
    """One layer under two names, and one weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.again = Linear(4, 4)
        self.into, self.out = Linear(4, 3), Linear(4, CLASSES)
        self.out.weight = self.into.weight
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.again(self.first(x).tanh()).tanh()
        return self.scale * self.out(hidden) + self.into(x).sin()


class Physical(nn.Module):
    """Returns a derivative with respect to its inputs, as networks for differential equations."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Sequential(Linear(4, 5), Softsign(), Linear(5, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(self.inner(x).sum(), x, create_graph=True)
        return slope[:, :CLASSES]


class Listed(nn.Module):
    """Parameters in a list and a dictionary, a convolution by hand, a bilinear form."""

    def __init__(self) -> None:
        super().__init__()
        self.many = nn.ParameterList([torch.randn(2, 1, 2) for _ in range(2)])
        self.named = nn.ParameterDict({"out": torch.randn(6, CLASSES)})
        self.form = nn.Bilinear(CLASSES, 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        each = [F.conv1d(x[:, None], weight).flatten(1).sin() for weight in self.many]
        return self.form(sum(each, torch.zeros(())) @ self.named["out"], x)


class LastState(nn.Module):
    """The last state of a recurrent net, read out."""

    def __init__(self, net: nn.RNNBase) -> None:
        super().__init__()
        self.net, self.out = net, Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.net(x)[0][:, -1])


def adapted() -> nn.Module:
    """A low-rank adapter, as a forward of the instance; the layer itself is frozen."""
    model = mlp()
    layer: Any = model[0].requires_grad_(False)
    layer.down, layer.up = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.randn(5, 2))

    def forward(self: Any, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + self.up @ self.down, self.bias)

    layer.forward = types.MethodType(forward, layer)
    return model


def watched() -> nn.Module:
    """Backward hooks act on gradients, and are no part of the function."""
    model = mlp(Softsign())
    model[0].register_full_backward_hook(lambda module, grads, _: tuple(2 * g for g in grads))
    model[2].register_full_backward_pre_hook(lambda module, grads: tuple(2 * g for g in grads))
    model.get_parameter("0.weight").register_hook(lambda grad: 2 * grad)
    return model


def used() -> nn.Module:
    """Keeps results of a forward pass, which no copy is made of."""
    model = Counting()
    model(torch.randn(9, 4))
    return model


def twice(module: Any, x: Tensor) -> Tensor:
    """A function of the module, put in place of its forward, as accelerate does."""
    return 2 * F.linear(x, module.weight, module.bias)


def mlp(activation: nn.Module | None = None) -> Sequential:
    return Sequential(Linear(4, 5), activation or ReLU(), Linear(5, CLASSES))


def patched() -> nn.Module:
    model = mlp()
    layer: Any = model[0]
    layer.forward = functools.partial(twice, layer)
    return model


def hooked() -> nn.Module:
    model = mlp()
    model[0].register_forward_hook(lambda module, args, output: output.sin())
    return model


def normed() -> nn.Module:
    model = Sequential(Linear(4, 5), nn.BatchNorm1d(5), Softsign(), Linear(5, CLASSES))
    model(torch.randn(9, 4))
    return model.eval()


def dropped() -> nn.Module:
    return Sequential(Linear(4, 5), nn.Dropout(0.5), Linear(5, CLASSES)).eval()


def frozen() -> nn.Module:
    model = mlp()
    model[0].requires_grad_(False)
    return model


def shared() -> nn.Module:
    layer = Linear(4, 4)
    return Sequential(layer, Softsign(), layer, Linear(4, CLASSES))


def reparametrised() -> nn.Module:
    model = Sequential(parametrizations.spectral_norm(Linear(4, 3)), Softsign(), Linear(3, CLASSES))
    return model.eval()


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 3, activation="gelu", batch_first=True)
    return Sequential(nn.TransformerEncoder(layer, 1), Flatten(), Linear(16, CLASSES)).eval()


def single() -> nn.Module:
    return mlp(Softsign()).float()


VECTORS, SEQUENCES, IMAGES = (4,), (LENGTH, 4), (1, 6, 6)
MODELS: dict[str, tuple[tuple[int, ...] | str, Callable[[], nn.Module]]] = {
    "recognised stack": (VECTORS, mlp),
    "float32": (VECTORS, single),
    "patched forward": (VECTORS, patched),
    "forward hook": (VECTORS, hooked),
    "batch norm in evaluation": (VECTORS, normed),
    "dropout in evaluation": (VECTORS, dropped),
    "dropout of nothing": (VECTORS, lambda: mlp(nn.Dropout(0.0))),
    "frozen layer": (VECTORS, frozen),
    "module used twice": (VECTORS, shared),
    "spectral norm": (VECTORS, reparametrised),
    "gated, with unused and empty parameters": (VECTORS, Gated),
    "layer norm": (VECTORS, lambda: Sequential(Linear(4, 5), nn.LayerNorm(5), Linear(5, 3))),
    "RMS norm": (VECTORS, lambda: Sequential(Linear(4, 5), nn.RMSNorm(5), Linear(5, 3))),
    "PReLU": (VECTORS, lambda: mlp(nn.PReLU())),
    **{
        kind.__name__: (VECTORS, lambda kind=kind: mlp(kind()))
        for kind in (nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.Mish, nn.Sigmoid, nn.Softsign)
    },
    "convolution in one dimension": (
        SEQUENCES,
        lambda: Sequential(nn.Conv1d(LENGTH, 3, 2), Softsign(), Flatten(), Linear(9, CLASSES)),
    ),
    "convolution, group norm": (
        IMAGES,
        lambda: Sequential(
            nn.Conv2d(1, 2, 3),
            nn.GroupNorm(1, 2),
            nn.SiLU(),
            nn.MaxPool2d(2),
            Flatten(),
            Linear(8, 3),
        ),
    ),
    "transposed convolution": (
        IMAGES,
        lambda: Sequential(nn.ConvTranspose2d(1, 1, 2, 2), Softsign(), Flatten(), Linear(144, 2)),
    ),
    "recognised convolutions": (
        IMAGES,
        lambda: Sequential(nn.Conv2d(1, 2, 3), ReLU(), nn.MaxPool2d(2), Flatten(), Linear(8, 3)),
    ),
    "LSTM": (SEQUENCES, lambda: Recurrent(nn.LSTM)),
    "GRU": (SEQUENCES, lambda: Recurrent(nn.GRU)),
    "RNN": (SEQUENCES, lambda: Recurrent(nn.RNN)),
    "attention": (SEQUENCES, Attention),
    "transformer encoder in evaluation": (SEQUENCES, encoder),
    "BERT with padding": ("tokens", lambda: Bert().eval()),
    "BERT in training, without dropout": ("tokens", Bert),
    "running mean": (VECTORS, Counting),
    "results kept": (VECTORS, used),
    "numbers in single precision": (SEQUENCES, SinglePrecision),
    "softmax in single precision": (
        VECTORS,
        lambda: mlp(Applied(lambda x: x.float().softmax(1, dtype=torch.float32).to(x))),
    ),
    "custom function": (VECTORS, lambda: mlp(Applied(Cube.apply))),
    "inputs changed in place": (VECTORS, Inplace),
    "in-place activation": (VECTORS, lambda: mlp(nn.ELU(inplace=True))),
    "checkpointing": (VECTORS, Saving),
    "routed experts": (VECTORS, Routed),
    "two names": (VECTORS, TwoNames),
    "derivative by inputs": (VECTORS, Physical),
    "lists of parameters": (VECTORS, Listed),
    "adapter": (VECTORS, adapted),
    "backward hooks": (VECTORS, watched),
    "sparse embedding": (
        "tokens",
        lambda: Sequential(Embedding(TOKENS, 2, sparse=True), Flatten(), Softsign(), Linear(8, 3)),
    ),
    "dense embedding": (
        "tokens",
        lambda: Sequential(Embedding(TOKENS, 2), Flatten(), Softsign(), Linear(8, 3)),
    ),
    "softmax": (VECTORS, lambda: mlp(nn.Softmax(1))),
    "stack of softsign": (VECTORS, lambda: mlp(Softsign())),
    "no inputs of a layer": (
        VECTORS,
        lambda: Sequential(Linear(4, 0), Softsign(), Linear(0, CLASSES)),
    ),
    "convolution in three dimensions": (
        (1, 2, 3, 3),
        lambda: Sequential(nn.Conv3d(1, 2, 2), nn.Softplus(), Flatten(), Linear(8, CLASSES)),
    ),
    "grouped and dilated convolution": (
        (2, 6, 6),
        lambda: Sequential(
            nn.Conv2d(2, 4, 2, dilation=2, groups=2, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(4, affine=True),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(1),
            Flatten(),
            Linear(4, CLASSES),
        ),
    ),
    "gated linear unit": (VECTORS, lambda: Sequential(Linear(4, 6), nn.GLU(), Linear(3, CLASSES))),
    "bidirectional": (
        SEQUENCES,
        lambda: LastState(nn.LSTM(4, 2, num_layers=2, bidirectional=True, batch_first=True)),
    ),
    "half precision": (VECTORS, lambda: mlp(Softsign()).half()),
    "embedding with padding": (
        "tokens",
        lambda: Sequential(
            Embedding(TOKENS, 2, padding_idx=0), Flatten(), Softsign(), Linear(8, 3)
        ),
    ),
}


PLAIN = {
    "backward hooks": "stack of softsign",
    "sparse embedding": "dense embedding",
    "results kept": "running mean",
    "softmax in single precision": "softmax",
}
"""The same functions, for PyTorch's own autograd."""


def inputs_for(shape: tuple[int, ...] | str) -> Tensor:
    if isinstance(shape, str):
        return torch.randint(TOKENS, (N, LENGTH)).index_fill(1, torch.tensor(0), 1)
    return torch.randn(N, *shape, dtype=torch.float64)


def built(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A model, its inputs, and classes from 0 on."""
    torch.manual_seed(3)
    shape, build = MODELS[name]
    model = build()
    x = inputs_for(shape)
    model = model if name in ("float32", "half precision") else model.double()
    outputs = 2 if name == "transposed convolution" else CLASSES
    return model, x, torch.randint(outputs, (N,))


# Losses of three outputs and classes.

WEIGHTS = torch.tensor([0.2, 3.0, 1.1])


def focal(f: Tensor, y: Tensor) -> Tensor:
    log_p = f.log_softmax(1).gather(1, y[:, None])
    return -((1 - log_p.exp()) ** 2 * log_p).mean()


class Weighted(nn.Module):
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", WEIGHTS)
        self.mix = nn.Parameter(torch.eye(CLASSES))

    def forward(self, f: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(f @ self.mix, y, self.weights)


def one_hot(loss: Callable[..., Tensor]) -> Loss:
    return lambda f, y: loss(f, F.one_hot(y.clamp(0), CLASSES).double())


LOSSES: dict[str, Loss] = {
    "cross-entropy": F.cross_entropy,
    "cross-entropy, a module": nn.CrossEntropyLoss(),
    "class weights, float32": nn.CrossEntropyLoss(weight=WEIGHTS),
    "class weights, float64": nn.CrossEntropyLoss(weight=WEIGHTS.double()),
    "class weights, a partial": functools.partial(F.cross_entropy, weight=WEIGHTS),
    "class weights, a lambda": lambda f, y: F.cross_entropy(f, y, WEIGHTS),
    "class weights in a module with matrices": Weighted(),
    "a class of weight zero": nn.CrossEntropyLoss(weight=torch.tensor([0.0, 2.0, 1.0])),
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.2),
    "smoothed class weights": nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.2),
    "ignored class": nn.CrossEntropyLoss(ignore_index=1),
    "ignored class, smoothed, weighted": nn.CrossEntropyLoss(
        WEIGHTS, ignore_index=0, label_smoothing=0.3
    ),
    "negative log-likelihood": lambda f, y: F.nll_loss(f.log_softmax(1), y),
    "weighted NLL": lambda f, y: nn.NLLLoss(WEIGHTS, ignore_index=2)(f.log_softmax(1), y),
    "scaled and added": lambda f, y: 2 * F.cross_entropy(f, y) + F.cross_entropy(f.sin(), y),
    "two weighted": lambda f, y: (
        F.cross_entropy(f, y, WEIGHTS) + 0.3 * F.cross_entropy(f.sin(), y, WEIGHTS)
    ),
    "focal": focal,
    "mean squared error": one_hot(F.mse_loss),
    "Huber": one_hot(F.huber_loss),
    "binary": one_hot(F.binary_cross_entropy_with_logits),
    "binary, positive weights": one_hot(nn.BCEWithLogitsLoss(pos_weight=WEIGHTS)),
    "binary of probabilities": one_hot(lambda f, t: F.binary_cross_entropy(f.sigmoid(), t)),
    "probabilities": one_hot(F.cross_entropy),
    "weighted probabilities": one_hot(nn.CrossEntropyLoss(weight=WEIGHTS)),
    "divergence": one_hot(
        lambda f, t: F.kl_div(f.log_softmax(1), (t + 0.1) / 1.3, reduction="batchmean")
    ),
    "cosine": one_hot(lambda f, t: 1 - F.cosine_similarity(f, t).mean()),
    "squared hinge": one_hot(lambda f, t: (1 - (2 * t - 1) * f).relu().square().mean()),
    "outputs alone": lambda f, y: f.pow(2).mean(),
    "with a constant": lambda f, y: F.cross_entropy(f, y) + 3.0,
    "mean of sums": lambda f, y: F.cross_entropy(f, y, reduction="none").mean(),
    "Poisson": one_hot(F.poisson_nll_loss),
    "smooth absolute": one_hot(F.smooth_l1_loss),
    "normal": one_hot(lambda f, t: F.gaussian_nll_loss(f, t, f.square() + 1)),
    "a distribution": lambda f, y: -torch.distributions.Categorical(logits=f).log_prob(y).mean(),
    "weights of samples": lambda f, y: (F.cross_entropy(f, y, reduction="none") * (1 + y)).mean(),
    "targets changed in place": lambda f, y: F.mse_loss(f.sum(1), y.mul_(2).double()),
    "one number in a vector": lambda f, y: F.cross_entropy(f, y)[None],
    "tempered": lambda f, y: F.cross_entropy(f / 3.0, y, label_smoothing=0.1),
    "entropy added": lambda f, y: (
        F.cross_entropy(f, y) - 0.1 * torch.distributions.Categorical(logits=f).entropy().mean()
    ),
    "log-cosh": one_hot(lambda f, t: (f - t).cosh().log().mean()),
}


def shuffled(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    sizes = [1, 10, 0, 3, len(x) - 14]
    return list(zip(x[order].split(sizes), y[order].split(sizes), strict=True))
