"""Linearised layers of a piecewise-linear network.

Every layer maps activations and is linear, or linear once its active pattern is fixed. `push`
applies that linear map to tangents and `pull` its transpose to cotangents; both carry q of them for
each of n samples, so their arrays are (n, q, *activation).

At a kink the patterns are those of PyTorch's autograd: a ReLU at exactly zero passes nothing, and a
max-pool with equal largest entries passes the one that `max_pool2d` returns, the first in row-major
order.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Layer:
    """A layer without parameters; the base class of all others.

    Attributes:
        shape: shape of a sample's input, known after a forward pass.
        image: shape of a sample's output, known likewise.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to (n, *shape) and keep what `push` and `pull` need."""
        y = self._apply(x)
        self.shape, self.image = x.shape[1:], y.shape[1:]
        return y

    def _apply(self, x: Tensor) -> Tensor:
        return self.module(x)

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        """J v for tangents v of the input of some samples: (n, q, *in) → (n, q, *out)."""
        return self.module(tangents.flatten(0, 1)).unflatten(0, tangents.shape[:2])

    def pull(self, cotangents: Tensor) -> Tensor:
        """Jᵀu for cotangents u of the output: (n, q, *out) → (n, q, *in)."""
        flat = cotangents.flatten(0, 1)
        zeros = flat.new_zeros(len(flat), *self.shape)
        transpose = torch.func.vjp(self.module, zeros)[1]
        return transpose(flat)[0].unflatten(0, cotangents.shape[:2])


class ReLU(Layer):
    """max(x, 0), with derivative 1 where x > 0."""

    def _apply(self, x: Tensor) -> Tensor:
        self.active = (x > 0).to(x.dtype)
        return x * self.active

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        return tangents * self.active[samples, None]

    def pull(self, cotangents: Tensor) -> Tensor:
        return cotangents * self.active[:, None]


class Smooth(Layer):
    """A smooth function of each entry, which is no linear map: of these there are products only."""


class MaxPool(Layer):
    """The largest entry of each window, of the image or of its positive part.

    A ReLU before a max-pool is taken together with it: gathering first leaves less to mask.

    Args:
        module: max-pool of the model.
        rectified: whether a ReLU comes before it.
    """

    def __init__(self, module: nn.MaxPool2d, *, rectified: bool) -> None:
        super().__init__(module)
        self.settings = module
        self.rectified = rectified

    def _apply(self, x: Tensor) -> Tensor:
        pool = self.settings
        y, indices = F.max_pool2d(
            x.relu() if self.rectified else x,
            pool.kernel_size,
            pool.stride,
            pool.padding,
            pool.dilation,
            pool.ceil_mode,
            return_indices=True,
        )
        self.indices = indices.flatten(2)[:, None]
        self.active = (y > 0).to(y.dtype)[:, None]
        return y

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        indices = self.indices[samples].expand(-1, tangents.shape[1], -1, -1)
        pooled = tangents.flatten(3).gather(3, indices).unflatten(3, self.image[1:])
        return pooled.mul_(self.active[samples]) if self.rectified else pooled

    def pull(self, cotangents: Tensor) -> Tensor:
        if self.rectified:
            cotangents = cotangents * self.active
        n, q = cotangents.shape[:2]
        flat = cotangents.new_zeros(n, q, self.shape[0], prod(self.shape[1:]))
        indices = self.indices.expand(-1, q, -1, -1)
        return flat.scatter_add_(3, indices, cotangents.flatten(3)).unflatten(3, self.shape[1:])
