"""The loss of a model as a function of its parameters, over data that are streamed in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
from hdlib.loss import Loss

PRECISIONS = (torch.float64, torch.float32)

NOTHING = "no target counts: all are ignored by the loss, or have the weight 0"

SHARED = (
    "a copy of the model, which curvature is computed with, would not see it move. Give a function "
    "that was put in place of a forward a class of its own or bind it with types.MethodType; a "
    "loss takes outputs and targets only"
)


class NoHessianError(ValueError):
    """Model, loss and data have no Hessian as they are; it says what to do."""


class Objective:
    """L(θ) of a batch, with θ the parameters of a private copy of the model.

    Args:
        model: module as it came; copied, in its mode (train, eval).
        loss: ``loss(outputs, targets)``. One of PyTorch's own is given the ``logits`` of a model
            that returns more than a tensor.
        parameters: names of parameters or modules; by default all that require grad.
        dtype: type of the computation.

    Attributes:
        model: copy of the model.
        given: model as it came.
        loss_given: loss as it came.
        parameters: parameters θ by name.
        size: number P of entries of θ.
        dtype: type of the computation.
        device: device of the parameters.

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

    def outputs(self, batch: Batch) -> tuple[Any, Any]:
        """What the loss compares: what the model returns for a batch, and the targets.

        Raises:
            ValueError: if the model returns something that PyTorch's losses do not take.
        """
        called = batch.to(self.device, self.dtype)  # a copy: a model may change its inputs
        with self._in_precision():
            outputs = self.model(*called.args, **called.kwargs)
        if not self._of_pytorch or isinstance(outputs, Tensor):
            return outputs, called.targets
        entries = outputs if isinstance(outputs, Mapping) else getattr(outputs, "__dict__", {})
        if isinstance(entries.get("logits"), Tensor):
            return entries["logits"], called.targets
        raise NoHessianError(
            f"the model returns a {type(outputs).__name__}, and the loss takes a tensor: pass one "
            "that picks it, such as lambda outputs, targets: loss(outputs[0], targets)"
        )

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of outputs, a scalar."""
        with self._in_precision():
            return _scalar(self._weighed(outputs, targets))

    def value(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        return self.loss(*self.outputs(batch))

    def value_and_weight(self, batch: Batch) -> tuple[Tensor, float]:
        """The loss of a batch and what it divides by (`loss_and_weight`)."""
        with self._told(len(batch)):
            outputs, targets = self.outputs(batch)
        return self.loss_and_weight(outputs, targets, len(batch))

    def loss_and_weight(self, outputs: Any, targets: Any, count: int) -> tuple[Tensor, float]:
        """The loss of outputs and what it divides by: the number of samples by default.

        Where no target counts, both are zero.

        Raises:
            NoHessianError: if the loss fails, or is not one finite number.
        """
        with self._told(count), self._in_precision():
            value, weight = self._weighed.with_weight(outputs, targets)
        value = _scalar(value)
        weight = float(count) if weight is None else weight
        if weight == 0:
            return value.new_zeros(()), 0.0
        if not torch.isfinite(value):
            raise NoHessianError(f"the loss of {count} samples is {value.item()}, not finite")
        return value, weight

    def advice(self) -> str:
        """What helps against noise and batch statistics, where the model is in training mode."""
        return "; call model.eval() first" if self.given.training else ""

    @contextmanager
    def _told(self, count: int) -> Iterator[None]:
        """Errors from inside of a model or loss, with how they came about."""
        try:
            yield
        except NoHessianError:
            raise
        except Exception as error:
            raise NoHessianError(self._failed(count, error)) from error

    def _in_precision(self) -> AbstractContextManager:
        return InDouble() if self.dtype == torch.float64 else nullcontext()

    def _failed(self, count: int, error: Exception) -> str:
        told = f"model or loss fails on {count} samples in {self.dtype}: {error}"
        modules = self.given.named_modules()
        replaced = [name or "the model" for name, part in modules if "forward" in vars(part)]
        if replaced:
            return f"{told}; forward of {replaced[0]} was replaced: {SHARED}"
        of_types = isinstance(error, RuntimeError) and "float" in str(error).lower()
        if of_types and self.dtype == torch.float64:
            told += "; a model that is in single precision inside takes dtype=torch.float32"
        return told + (self.advice() if isinstance(error, ValueError) else "")

    def slopes(self, value: Tensor, *, create_graph: bool = False) -> list[Tensor]:
        """∂value/∂θ, a tensor for each parameter, zero where it does not depend on one."""
        parameters = list(self.parameters.values())
        if not value.requires_grad:
            return [torch.zeros_like(parameter) for parameter in parameters]
        return list(
            torch.autograd.grad(
                value,
                parameters,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
        )


def require_finite(what: str, found: Tensor) -> None:
    """Refuse derivatives that are not finite.

    Raises:
        NoHessianError: if one is not.
    """
    if not torch.isfinite(found).all():
        raise NoHessianError(f"{what} not finite: a square root or a norm at zero?")


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise NoHessianError(
            f"the loss must be one number, the mean over its samples, got {got}: reduction='mean'?"
        )
    return value.reshape(())
