"""Modules that compute something else than their type says."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.nn.modules import module as torch_module

RECOGNISED = (
    nn.Embedding,
    nn.Linear,
    nn.Conv2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Identity,
)
"""Layers of exactly these types: a subclass may compute something else."""
SMOOTH = (nn.ELU, nn.GELU, nn.Mish, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Tanh)
"""Activations likewise that PyTorch differentiates twice, entry by entry."""
FORWARDS: dict[type[nn.Module], Callable] = {
    kind: kind.forward
    for kind in (*RECOGNISED, *SMOOTH, nn.Sequential, nn.CrossEntropyLoss, nn.MSELoss)
}
"""As PyTorch has them, in case one is replaced."""


def is_altered(module: nn.Module) -> bool:
    """Whether hooks, or another ``forward`` or call than its type had, change what it computes."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
        torch_module._global_forward_hooks,
        torch_module._global_forward_pre_hooks,
    )
    written = FORWARDS.get(type(module), type(module).forward)
    own = "forward" in vars(module) or type(module).forward is not written
    return any(hooks) or own or type(module).__call__ is not nn.Module.__call__
