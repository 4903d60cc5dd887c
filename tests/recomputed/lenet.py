"""LeNet-tiny written out, and the images that its Hessians are over."""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdlib.experiments.lenet import TRAINING
from hdlib.store import Run
from tests.recomputed.plain import Loss, flat, shaped

FOLDER = Path(os.environ.get("HDLIB_DATA_HOME", "/nowhere")) / "mnist"
SHAPES = (8, 1, 5, 5), (8,), (16, 8, 5, 5), (16,), (10, 256), (10,)
READ_OUT = slice(-2_570, None)
"""Weights and biases of the last layer among all 5,994."""

needs_mnist = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="MNIST is not in $HDLIB_DATA_HOME/mnist"
)


class Sample(NamedTuple):
    """Images (n, 1, 28, 28), normalised, and their classes (n,)."""

    inputs: Tensor
    targets: Tensor

    def hidden(self, theta: Tensor) -> Tensor:
        """(n, 256) numbers that the read-out reads."""
        w1, b1, w2, b2, _, _ = shaped(theta, *SHAPES)
        first = F.max_pool2d(F.conv2d(self.inputs.to(theta), w1, b1), 2).relu()
        return F.max_pool2d(F.conv2d(first, w2, b2), 2).relu().flatten(1)

    def losses(self, theta: Tensor) -> Tensor:
        """(n,) cross-entropy of each image."""
        *_, w, b = shaped(theta, *SHAPES)
        return F.cross_entropy(self.hidden(theta) @ w.T + b, self.targets, reduction="none")

    @property
    def loss(self) -> Loss:
        """Their mean."""
        return lambda theta: self.losses(theta).mean()


@cache
def _train() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = (
        np.frombuffer(gzip.decompress((FOLDER / f"train-{name}.gz").read_bytes()), np.uint8)
        for name in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    return images[16:].reshape(-1, 1, 28, 28), labels[8:]


def sample(indices: NDArray[np.integer]) -> Sample:
    """Training images by their numbers."""
    images, labels = _train()
    pixels = torch.from_numpy(images[indices]).float() / 255
    return Sample((pixels - 0.1307) / 0.3081, torch.from_numpy(labels[indices]).long())


def hessian_sample(size: int) -> Sample:
    """The first images of that order in which all Hessians take them."""
    return sample(np.random.default_rng(42).permutation(60_000)[:size])


def weights(run: Run[Any], step: int) -> Tensor:
    """(5,994,) float32 as they are published."""
    found = TRAINING.weights(run, step)
    names = [f"{layer}.{kind}" for layer in ("conv1", "conv2", "linear") for kind in KINDS]
    return flat([found[name] for name in names])


KINDS = ("weight", "bias")
