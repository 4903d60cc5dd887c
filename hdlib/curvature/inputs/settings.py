"""PyTorch's settings under which a function can be differentiated twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

_lock = Lock()
_users = 0
_settings = ExitStack()


@contextmanager
def twice_differentiable(dtype: torch.dtype) -> Iterator[None]:
    """Derivatives on, attention by its mathematical kernel, new floating numbers in ``dtype``.

    Automatic casts are off, and random numbers that are drawn are given back.

    The fused kernels of attention have no second derivative, and a model that makes numbers of its
    own, such as the first state of a recurrent network, makes them in PyTorch's default type. Both
    settings are the process's: the first thread to come changes them, the last one to leave puts
    them back.
    """
    global _users
    with _lock:
        if _users == 0:
            _settings.enter_context(_of_the_process(dtype))
        _users += 1
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            torch.random.fork_rng(devices=[]),
        ):
            yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _settings.close()


@contextmanager
def _of_the_process(dtype: torch.dtype) -> Iterator[None]:
    fast, default = torch.backends.mha.get_fastpath_enabled(), torch.get_default_dtype()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.set_default_dtype(dtype)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.set_default_dtype(default)


class InDouble(TorchFunctionMode):
    """What is cast to single precision, as norms and softmaxes often are, is cast to double."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.float:
            func = Tensor.double
        return func(
            *(torch.float64 if arg is torch.float32 else arg for arg in args),
            **{k: torch.float64 if arg is torch.float32 else arg for k, arg in kwargs.items()},
        )
