"""The loss of a model as a function of its parameters, over data that are streamed in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.loss import _Loss

from hdlib.curvature.inputs.copies import copied
from hdlib.curvature.inputs.data import Batch, Data, batches
from hdlib.curvature.inputs.means import Weighed
from hdlib.curvature.inputs.settings import InDouble
from hdlib.curvature.losses import Loss

PRECISIONS = (torch.float64, torch.float32)


class Objective:
    """L(θ) of a batch, with θ the parameters of a private copy of the model.

    Args:
        model: as it came; copied, in its mode (train, eval).
        loss: ``loss(outputs, targets)``. One of PyTorch's own is given the ``logits`` of a model
            that returns more than a tensor.
        parameters: names of parameters or modules; by default all that require grad.
        dtype: of the computation.

    Attributes:
        model: the copy.
        given: the model as it came.
        loss_given: the loss as it came.
        parameters: θ by name.
        size: P, how many numbers they are.
        dtype: as given.
        device: theirs.

    Raises:
        ValueError: as `hdlib.curvature.inputs.copies.copied`, or for another ``dtype``.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        *,
        parameters: Sequence[str] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        if dtype not in PRECISIONS:
            raise ValueError(f"dtype={dtype}: allowed are torch.float64 and torch.float32")
        self.given, self.loss_given, self.dtype = model, loss, dtype
        self.model, self.parameters = copied(model, parameters, dtype=dtype)
        self.size = sum(parameter.numel() for parameter in self.parameters.values())
        self.device = next(iter(self.parameters.values())).device
        like = torch.empty(0, dtype=dtype, device=self.device)
        self._weighed = Weighed(loss, like)
        function = loss.func if isinstance(loss, partial) else loss
        self._of_pytorch = isinstance(function, _Loss) or any(
            function is known for known in vars(F).values()
        )

    def batches(self, data: Data) -> Iterator[Batch]:
        """The batches of ``data``, checked, in their own types."""
        return batches(data, self.given)

    def call(self, batch: Batch) -> Any:
        """What the model returns for a batch in the type of the computation."""
        with InDouble() if self.dtype == torch.float64 else nullcontext():
            return self.model(*batch.args, **batch.kwargs)

    def outputs(self, batch: Batch) -> tuple[Any, Any]:
        """What the loss compares: what the model returns for a batch, and the targets.

        Raises:
            ValueError: if the model returns something that PyTorch's losses do not take.
        """
        called = batch.to(self.device, self.dtype)  # a copy: a model may change its inputs
        outputs = self.call(called)
        if not self._of_pytorch or isinstance(outputs, Tensor):
            return outputs, called.targets
        entries = outputs if isinstance(outputs, Mapping) else getattr(outputs, "__dict__", {})
        if isinstance(entries.get("logits"), Tensor):
            return entries["logits"], called.targets
        raise ValueError(
            f"the model returns a {type(outputs).__name__}, and the loss takes a tensor: pass one "
            "that picks it, such as lambda outputs, targets: loss(outputs[0], targets)"
        )

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of outputs, a scalar."""
        return _scalar(self._weighed(outputs, targets))

    def value(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        return self.loss(*self.outputs(batch))

    def value_and_weight(self, batch: Batch) -> tuple[Tensor, float]:
        """The loss of a batch and what it divides by (`loss_and_weight`)."""
        return self.loss_and_weight(*self.outputs(batch), len(batch))

    def loss_and_weight(self, outputs: Any, targets: Any, count: int) -> tuple[Tensor, float]:
        """The loss of outputs and what it divides by: their number by default.

        Where no target counts, both are zero.

        Raises:
            ValueError: if the loss is not one finite number.
        """
        value, weight = self._weighed.with_weight(outputs, targets)
        value = _scalar(value)
        weight = float(count) if weight is None else weight
        if weight == 0:
            return value.new_zeros(()), 0.0
        if not torch.isfinite(value):
            raise ValueError(f"the loss of {count} samples is {value.item()}, not finite")
        return value, weight

    def slopes(self, value: Tensor, *, create_graph: bool = False) -> list[Tensor]:
        """∂value/∂θ, a tensor for each parameter, zero where it does not depend on one.

        Raises:
            ValueError: if it depends on none.
        """
        if not value.requires_grad:
            raise ValueError("the loss does not depend on the parameters: is something detached?")
        parameters = list(self.parameters.values())
        return list(
            torch.autograd.grad(
                value,
                parameters,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
        )


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"the loss must be one number, the mean over its samples, got {got}: reduction='mean'?"
        )
    return value.reshape(())
