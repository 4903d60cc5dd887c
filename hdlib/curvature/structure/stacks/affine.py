"""Layers of a stack that have parameters: linear ones, convolutions and embeddings."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from hdlib.curvature.structure.stacks.layers import Layer


class Embedding(Layer):
    """Rows of a table by tokens (n, t), before all other layers.

    Attributes:
        weight: table (V, d).
        size: number of parameters, V times d.
        weights: where it lies among all parameters.
    """

    def __init__(self, module: nn.Embedding) -> None:
        super().__init__(module)
        self.weight = module.weight.detach()
        self.size = self.weight.numel()
        self.weights = slice(0, self.size)


class Affine(Layer):
    """A layer with a weight and maybe a bias, as a matrix acting on input patches.

    The pre-activation at output channel o and position t is Σₖ W[o, k] a[k, t], with a the input
    patches followed by a constant 1 where there is a bias.

    Attributes:
        weight: its weight.
        bias: its bias, or None.
        outputs: number O of output channels.
        fan_in: number K of weights for each of them, without the bias.
        start: index of its first weight in the vector of all parameters.
    """

    def __init__(self, module: nn.Linear | nn.Conv2d, start: int) -> None:
        super().__init__(module)
        self.weight = module.weight.detach()
        self.outputs = self.weight.shape[0]
        self.fan_in = self.weight.shape[1:].numel()
        self.bias = None if module.bias is None else module.bias.detach()
        self.has_bias = self.bias is not None
        self.start = start

    @property
    def columns(self) -> int:
        """K, and one more where there is a bias."""
        return self.fan_in + self.has_bias

    @property
    def size(self) -> int:
        """Number of parameters, O times `columns`."""
        return self.outputs * self.columns

    @property
    def weights(self) -> slice:
        """Where its weight lies among all parameters."""
        return slice(self.start, self.start + self.outputs * self.fan_in)

    @property
    def biases(self) -> slice:
        """Where its bias lies among all parameters; empty where there is none."""
        return slice(self.weights.stop, self.start + self.size)

    def patches(self) -> Tensor:
        """Input patches of the last `forward`, with the constant 1 for the bias."""
        raise NotImplementedError

    def _with_constant(self, patches: Tensor) -> Tensor:
        ones = patches.new_ones(len(patches), 1, *patches.shape[2:])
        return torch.cat([patches, ones], 1) if self.has_bias else patches


class Linear(Affine):
    """Fully connected layer; its patches are (n, columns)."""

    def _apply(self, x: Tensor) -> Tensor:
        self.input = x
        return self.module(x)

    def patches(self) -> Tensor:
        return self._with_constant(self.input)

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        return tangents @ self.weight.T

    def pull(self, cotangents: Tensor) -> Tensor:
        return cotangents @ self.weight

    def push_channels(self, tangents: Tensor, channels: int) -> Tensor:
        """Tangents in one input channel each: (n, q, c · s) → (n, q · c, O)."""
        weight = self.weight.unflatten(1, (channels, -1))
        split = tangents.unflatten(2, (channels, -1))
        return torch.einsum("nqcs,mcs->nqcm", split, weight).flatten(1, 2)


class Conv(Affine):
    """Convolution with zero padding; its patches are (n, columns, positions)."""

    def __init__(self, module: nn.Conv2d, start: int) -> None:
        super().__init__(module, start)
        assert not isinstance(module.padding, str)
        self.channels = module.in_channels
        self.kernel = module.kernel_size
        self.stride = module.stride
        self.padding = module.padding
        self.dilation = module.dilation

    @property
    def geometry(self) -> dict:
        """Stride, padding and dilation, as PyTorch's functions take them."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def _apply(self, x: Tensor) -> Tensor:
        self.input = x
        return self.module(x)

    @property
    def positions(self) -> torch.Size:
        """Height and width of the output."""
        return self.image[1:]

    def patches(self) -> Tensor:
        unfolded = F.unfold(self.input, self.kernel, **self.geometry)
        return self._with_constant(unfolded)

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        flat = F.conv2d(tangents.flatten(0, 1), self.weight, **self.geometry)
        return flat.unflatten(0, tangents.shape[:2])

    def pull(self, cotangents: Tensor) -> Tensor:
        n, q = cotangents.shape[:2]
        shape = (n * q, *self.shape)
        flat = conv2d_input(shape, self.weight, cotangents.flatten(0, 1), **self.geometry)
        return flat.unflatten(0, (n, q))

    def unfold_channels(self, tangents: Tensor) -> Tensor:
        """Patches of each channel: (n, q, c, h, w) → (c, kernel, q, n · positions)."""
        (top, left), (down, right) = self.padding, self.stride
        padded = F.pad(tangents, (left, left, top, top))
        n, q, c, *_ = padded.shape
        sample, tangent, channel, row, column = padded.stride()
        windows = padded.as_strided(
            (c, *self.kernel, q, n, *self.positions),
            (
                channel,
                self.dilation[0] * row,
                self.dilation[1] * column,
                tangent,
                sample,
                down * row,
                right * column,
            ),
        )
        return windows.reshape(c, -1, q, n * prod(self.positions))

    def push_unfolded(self, unfolded: Tensor, n: int) -> Tensor:
        """Tangents in one input channel each, unfolded: → (n, q · c, O, *positions)."""
        c, size, q, _ = unfolded.shape
        kernels = self.weight.flatten(2).transpose(0, 1)
        images = torch.bmm(kernels, unfolded.reshape(c, size, -1))
        images = images.view(c, self.outputs, q, n, *self.positions)
        return images.permute(3, 2, 0, 1, 4, 5).flatten(1, 2)

    def weight_gradient(self, unfolded: Tensor, errors: Tensor) -> Tensor:
        """Σ over samples and positions of errors (n, O, positions) times unfolded tangents.

        Returns:
            (c · kernel · q, O).
        """
        return unfolded.flatten(0, 2) @ errors.transpose(0, 1).flatten(1).T
