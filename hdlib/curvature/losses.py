"""Losses whose Hessian with respect to the outputs is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""``loss(outputs, targets)``: the mean over samples, a scalar."""


IGNORED = -100
"""The class that `torch.nn.functional.cross_entropy` leaves out unless told another one."""


class OutputDerivatives(NamedTuple):
    """Derivatives of each sample's loss ℓ with respect to its outputs f, of size C.

    Attributes:
        gradient: (n, C) ∂ℓ/∂f.
        factor: (n, C, R) S with S Sᵀ = ∂²ℓ/∂f².
    """

    gradient: Tensor
    factor: Tensor


def output_derivatives(loss: Loss) -> Callable[[Tensor, Tensor], OutputDerivatives] | None:
    """The closed form for ``loss``, or None where it is not recognised.

    Recognised are `torch.nn.functional.cross_entropy` and `torch.nn.functional.mse_loss`, and their
    modules with default settings.
    """
    if loss is F.cross_entropy or (
        isinstance(loss, nn.CrossEntropyLoss)
        and type(loss) is nn.CrossEntropyLoss
        and loss.weight is None
        and loss.reduction == "mean"
        and loss.label_smoothing == 0
        and loss.ignore_index == IGNORED
    ):
        return cross_entropy
    if loss is F.mse_loss or (
        isinstance(loss, nn.MSELoss) and type(loss) is nn.MSELoss and loss.reduction == "mean"
    ):
        return mean_squared_error
    return None


def cross_entropy(outputs: Tensor, targets: Tensor) -> OutputDerivatives:
    """Cross-entropy of the softmax p of the outputs: ∂ℓ/∂f = p − y, ∂²ℓ/∂f² = diag(p) − ppᵀ.

    With u = √p, a unit vector, diag(p) − ppᵀ = diag(u)(I − uuᵀ)diag(u). The last C − 1 columns of
    the Householder reflection that takes the first axis to −u are an orthonormal basis Q of the
    complement of u, so S = diag(u)Q has only R = C − 1 columns. (Schraudolph 2002 has the C × C
    factor.)

    Args:
        outputs: (n, C) logits.
        targets: (n,) int64 classes.

    Raises:
        ValueError: if targets are not classes in 0 … C − 1.
    """
    n, classes = outputs.shape
    if targets.shape != (n,) or targets.is_floating_point():
        raise ValueError(
            f"cross-entropy targets must be {n} classes, got {targets.dtype} {tuple(targets.shape)}"
        )
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"classes must lie in 0 … {classes - 1}, got {targets.min()} … {targets.max()}"
        )
    p = torch.softmax(outputs, 1)
    u = p.sqrt()
    head, tail = u[:, :1], u[:, 1:]
    basis = torch.cat(
        [
            -tail[:, None, :],
            torch.eye(classes - 1, dtype=p.dtype, device=p.device)
            - tail[:, :, None] * tail[:, None, :] / (1 + head[:, :, None]),
        ],
        1,
    )
    return OutputDerivatives(p - F.one_hot(targets, classes), u[:, :, None] * basis)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> OutputDerivatives:
    """Mean of squares over the C outputs: ∂ℓ/∂f = 2(f − y)/C, ∂²ℓ/∂f² = 2I/C.

    Args:
        outputs: (n, C).
        targets: (n, C).

    Raises:
        ValueError: if the shapes differ.
    """
    if outputs.shape != targets.shape:
        raise ValueError(
            f"targets {tuple(targets.shape)} must have the shape of the outputs "
            f"{tuple(outputs.shape)}"
        )
    n, size = outputs.shape
    identity = torch.eye(size, dtype=outputs.dtype, device=outputs.device)
    return OutputDerivatives(
        2 * (outputs - targets) / size, ((2 / size) ** 0.5 * identity).expand(n, -1, -1)
    )
