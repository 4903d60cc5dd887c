"""What a loss divides by: the weight that samples have in the mean over all of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hdlib.loss import Loss

WEIGHTED = (F.cross_entropy, F.nll_loss)
"""Means over the targets that are not ignored, each with the weight of its class."""
OF_ONE_TYPE = (
    *WEIGHTED,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.huber_loss,
    F.smooth_l1_loss,
)
"""They take targets and weights in the floating type of the outputs only."""
SIGNATURES = {function: inspect.signature(function) for function in OF_ONE_TYPE}


class Denominators(TorchFunctionMode):
    """Sees PyTorch's losses wherever they are called, and what each divides by; casts its weights.

    Attributes:
        noted: sums of the weights of the targets that are not ignored, one for each mean so far.
    """

    def __init__(self, *, note: bool) -> None:
        super().__init__()
        self._note = note
        self.noted: list[float] = []

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in OF_ONE_TYPE:
            return func(*args, **kwargs)
        call = SIGNATURES[func].bind(*args, **kwargs)
        outputs = call.arguments["input"]
        for name, value in call.arguments.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                call.arguments[name] = value.to(outputs)
        if self._note and func in WEIGHTED:
            call.apply_defaults()
            if call.arguments["reduction"] == "mean":
                self.noted.append(_denominator(**call.arguments))
        return func(*call.args, **call.kwargs)


def _denominator(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, **_: Any
) -> float:
    if target.is_floating_point():  # probabilities: neither weights nor ignored targets count
        return target.numel() / (input.shape[1] if input.ndim > 1 else len(input))
    kept = target[target != ignore_index]
    return float(len(kept) if weight is None else weight[kept.long()].sum())


class Weighed:
    """A loss, and what it divides by.

    Args:
        loss: loss as it came; its own tensors may be of another floating type.
        like: tensor of the type and on the device of the outputs.
    """

    def __init__(self, loss: Loss, like: Tensor) -> None:
        self._loss = copy.deepcopy(loss).to(like) if isinstance(loss, nn.Module) else loss

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        with Denominators(note=False):
            return self._loss(outputs, targets)

    def with_weight(self, outputs: Any, targets: Any) -> tuple[Tensor, float | None]:
        """The loss, and its denominator where it is PyTorch's cross-entropy or NLL, else None.

        Several means in one loss divide by as much in proportion, or have no weight in common; then
        their sum is that of none of them, and the loss is not a mean over samples.
        """
        with Denominators(note=True) as seen:
            value = self._loss(outputs, targets)
        return value, sum(seen.noted) if seen.noted else None
