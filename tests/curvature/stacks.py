"""Networks whose structure is recognised, by what is particular about them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import AvgPool2d, Conv2d, Flatten, Identity, Linear, MaxPool2d, ReLU, Sequential

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.structure import Engine, recognise
from hdlib.models import LeNetTiny

Shape = tuple[int, ...]

STACKS: dict[str, tuple[Shape, Callable[[], nn.Module]]] = {
    "linear alone": ((5,), lambda: Linear(5, 3)),
    "linear": ((5,), lambda: Sequential(Linear(5, 3))),
    "mlp": ((5,), lambda: Sequential(Linear(5, 6), ReLU(), Linear(6, 4), ReLU(), Linear(4, 3))),
    "mlp without bias": (
        (5,),
        lambda: Sequential(
            Linear(5, 6, bias=False), ReLU(), Linear(6, 4, bias=False), Linear(4, 3, bias=False)
        ),
    ),
    "mlp with some biases": (
        (5,),
        lambda: Sequential(
            Linear(5, 6, bias=False), ReLU(), Linear(6, 5), ReLU(), Linear(5, 3, bias=False)
        ),
    ),
    "linear layers in a row": ((4,), lambda: Sequential(Linear(4, 5), Linear(5, 4), Linear(4, 3))),
    "ReLU in place, twice, and last": (
        (4,),
        lambda: Sequential(
            Linear(4, 6), ReLU(inplace=True), ReLU(), Linear(6, 3), ReLU(inplace=True)
        ),
    ),
    "ReLU and flatten first": ((1, 2, 3), lambda: Sequential(ReLU(), Flatten(), Linear(6, 3))),
    "one convolution": (
        (2, 5, 5),
        lambda: Sequential(Conv2d(2, 3, 3), ReLU(), Flatten(), Linear(27, 3)),
    ),
    "convolutions without bias": (
        (1, 6, 6),
        lambda: Sequential(
            Conv2d(1, 2, 3, bias=False),
            ReLU(),
            Conv2d(2, 3, 2, bias=False),
            Flatten(),
            Linear(27, 3),
        ),
    ),
    "stride, padding, dilation": (
        (2, 7, 6),
        lambda: Sequential(
            Conv2d(2, 3, 3, stride=2, padding=1),
            ReLU(),
            Conv2d(3, 2, 2, padding=2, dilation=2),
            ReLU(),
            Conv2d(2, 2, (2, 3), stride=(2, 1), padding=(0, 1), dilation=(1, 2)),
            Flatten(),
            Linear(18, 3),
        ),
    ),
    "overlapping max-pool with padding": (
        (1, 7, 7),
        lambda: Sequential(
            Conv2d(1, 2, 2),
            ReLU(),
            MaxPool2d(3, stride=2, padding=1),
            Conv2d(2, 3, 2),
            MaxPool2d(2, stride=1, padding=1),
            Flatten(),
            Linear(27, 3),
        ),
    ),
    "ReLU after max-pool": (
        (1, 6, 6),
        lambda: Sequential(
            Conv2d(1, 2, 3), MaxPool2d(2), ReLU(), Conv2d(2, 3, 2), ReLU(), Flatten(), Linear(3, 3)
        ),
    ),
    "max-pool first, dilated, with ceiling": (
        (1, 8, 8),
        lambda: Sequential(
            MaxPool2d(2, stride=1, dilation=2),
            Conv2d(1, 2, 2),
            ReLU(),
            MaxPool2d((2, 3), ceil_mode=True),
            Flatten(),
            Linear(12, 3),
        ),
    ),
    "average pool": (
        (1, 7, 7),
        lambda: Sequential(
            Conv2d(1, 2, 2),
            ReLU(),
            AvgPool2d(2, padding=1, count_include_pad=False),
            Conv2d(2, 3, 2),
            ReLU(),
            AvgPool2d((3, 2), stride=1),
            Flatten(),
            Linear(6, 3),
        ),
    ),
    "three convolutions and two linear layers": (
        (1, 7, 7),
        lambda: Sequential(
            Conv2d(1, 2, 2),
            ReLU(),
            Conv2d(2, 3, 2),
            ReLU(),
            MaxPool2d(2),
            Conv2d(3, 2, 2),
            ReLU(),
            Flatten(),
            Linear(2, 4),
            ReLU(),
            Linear(4, 3),
        ),
    ),
    "convolutions only": (
        (1, 5, 5),
        lambda: Sequential(Conv2d(1, 3, 3), ReLU(), Conv2d(3, 3, 3), Flatten()),
    ),
    "nested": (
        (1, 6, 6),
        lambda: Sequential(
            Sequential(Conv2d(1, 2, 3), Identity()),
            Sequential(Sequential(ReLU()), Sequential(MaxPool2d(2), Flatten())),
            Sequential(Linear(8, 3)),
        ),
    ),
    "LeNet-tiny of width 1": ((1, 28, 28), lambda: LeNetTiny(1)),
}


def make(name: str, samples: int = 7, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """A float64 network of that name, inputs, and classes."""
    shape, build = STACKS[name]
    torch.manual_seed(seed)
    model = build().double()
    x = torch.randn(samples, *shape, dtype=torch.float64)
    outputs = model(x).shape[1]
    return model, x, torch.arange(samples) % outputs


def targets_for(loss, outputs: Tensor, classes: Tensor) -> Tensor:
    """Classes, or one-hot vectors where the loss is a regression."""
    if loss is F.cross_entropy or isinstance(loss, nn.CrossEntropyLoss):
        return classes
    return F.one_hot(classes, outputs.shape[1]).double()


def fit(model: nn.Module, loss, x: Tensor, y: Tensor, steps: int = 12) -> None:
    """Train the model on these samples."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def recognised(model: nn.Module, x: Tensor, loss: Callable = F.cross_entropy) -> Engine | None:
    """The engine for a model."""
    return recognise(model, loss, Batch((x[:1],), {}, None))
