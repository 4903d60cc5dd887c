"""Linearised layers of a piecewise-linear network.

Every layer maps activations and is linear, or linear once its active pattern is fixed. `push`
applies that linear map to tangents and `pull` its transpose to cotangents; both carry q of them for
each of n samples, so their arrays are (n, q, *activation).

At a kink the patterns are those of PyTorch's autograd: a ReLU at exactly zero passes nothing, and a
max-pool with equal largest entries passes the one that `max_pool2d` returns, the first in row-major
order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import zip_longest
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input
from torch.nn.modules import module as torch_module

RECOGNISED = (
    nn.Linear,
    nn.Conv2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Identity,
)
"""Exactly these: a subclass may compute something else."""
FORWARDS: dict[type[nn.Module], Callable] = {
    kind: kind.forward for kind in (*RECOGNISED, nn.Sequential, nn.CrossEntropyLoss, nn.MSELoss)
}
"""As PyTorch has them, in case one is replaced."""


class Layer:
    """A layer without parameters; the base class of all others.

    Attributes:
        shape: of a sample's input, known after a forward pass.
        image: of a sample's output.
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


class MaxPool(Layer):
    """The largest entry of each window, of the image or of its positive part.

    A ReLU before a max-pool is taken together with it: gathering first leaves less to mask.

    Args:
        module: the pool.
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


class Affine(Layer):
    """A layer with a weight and maybe a bias, as a matrix acting on input patches.

    The pre-activation at output channel o and position t is Σₖ W[o, k] a[k, t], with a the input
    patches followed by a constant 1 where there is a bias.

    Attributes:
        outputs: number O of output channels.
        fan_in: number K of weights for each of them, without the bias.
        start: where its weight begins in the vector of all parameters.
    """

    def __init__(self, module: nn.Linear | nn.Conv2d, start: int) -> None:
        super().__init__(module)
        self.weight = module.weight.detach()
        self.outputs = self.weight.shape[0]
        self.fan_in = self.weight.shape[1:].numel()
        self.has_bias = module.bias is not None
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

    def _geometry(self) -> dict:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def _apply(self, x: Tensor) -> Tensor:
        self.input = x
        return self.module(x)

    @property
    def positions(self) -> torch.Size:
        """Height and width of the output."""
        return self.image[1:]

    def patches(self) -> Tensor:
        unfolded = F.unfold(self.input, self.kernel, **self._geometry())
        return self._with_constant(unfolded)

    def push(self, tangents: Tensor, samples: slice) -> Tensor:
        flat = F.conv2d(tangents.flatten(0, 1), self.weight, **self._geometry())
        return flat.unflatten(0, tangents.shape[:2])

    def pull(self, cotangents: Tensor) -> Tensor:
        n, q = cotangents.shape[:2]
        shape = (n * q, *self.shape)
        flat = conv2d_input(shape, self.weight, cotangents.flatten(0, 1), **self._geometry())
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


@torch.no_grad()
def piecewise_linear(model: nn.Module, sample: Tensor) -> list[Layer] | None:
    """The layers of ``model`` linearised, or None where it is not such a stack.

    Recognised are `nn.Sequential`s, nested as one likes, of Linear (on vectors), Conv2d (zero
    padding, one group), ReLU, MaxPool2d, AvgPool2d, Flatten and Identity, without hooks, each
    parameter used once and trained, that end in a vector of outputs. A max-pool with a window that
    is all padding gives −∞ there, and is not.

    Args:
        model: float64.
        sample: (1, *input), sent forward through the layers to see the shapes.
    """
    modules = _stack(model)
    if modules is None or not all(p.requires_grad for p in model.parameters()):
        return None
    layers: list[Layer] = []
    start = 0
    seen: set[nn.Module] = set()
    x = sample
    rectified = False
    for module, after in zip_longest(modules, modules[1:]):
        if type(module) is nn.ReLU and type(after) is nn.MaxPool2d:
            rectified = True
            continue
        layer = _linearise(module, x, start, rectified)
        rectified = False
        if layer is None or (isinstance(layer, Affine) and module in seen):
            return None
        if isinstance(layer, Affine):
            seen.add(module)
            start += layer.size
        x = layer.forward(x)
        if not torch.isfinite(x).all():
            return None
        if not isinstance(module, nn.Identity):
            layers.append(layer)
    expected = [
        parameter
        for layer in layers
        if isinstance(layer, Affine)
        for parameter in (layer.module.weight, layer.module.bias)
        if parameter is not None
    ]
    parameters = list(model.parameters())
    in_order = len(parameters) == len(expected) and all(map(operator.is_, parameters, expected))
    return layers if x.ndim == 2 and in_order and seen else None


def is_altered(module: nn.Module) -> bool:
    """Whether hooks, or another ``forward`` than its type had, change what a module computes."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
        torch_module._global_forward_hooks,
        torch_module._global_forward_pre_hooks,
    )
    written = FORWARDS.get(type(module), type(module).forward)
    return any(hooks) or "forward" in vars(module) or type(module).forward is not written


def _stack(module: nn.Module) -> list[nn.Module] | None:
    """Leaf modules in order; None where a container computes something of its own."""
    if is_altered(module):
        return None
    if isinstance(module, nn.Sequential):
        if type(module).forward is not nn.Sequential.forward:
            return None
        stacks = [_stack(child) for child in module]
        if any(stack is None for stack in stacks):
            return None
        return [leaf for stack in stacks if stack is not None for leaf in stack]
    return None if len(list(module.children())) else [module]


def _linearise(module: nn.Module, x: Tensor, start: int, rectified: bool) -> Layer | None:
    if type(module) not in RECOGNISED:
        return None
    match module:
        case nn.Linear() if x.ndim == 2:
            return Linear(module, start)
        case nn.Conv2d() if (
            x.ndim == 4
            and module.groups == 1
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            return Conv(module, start)
        case nn.ReLU():
            return ReLU(module)
        case nn.MaxPool2d() if x.ndim == 4 and not module.return_indices:
            return MaxPool(module, rectified=rectified)
        case nn.AvgPool2d() if x.ndim == 4:
            return Layer(module)
        case nn.Flatten(start_dim=1, end_dim=-1) | nn.Identity():
            return Layer(module)
        case _:
            return None
