"""Losses whose Hessian with respect to the outputs is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.curvature.structure.altered import is_altered
from hdlib.loss import Loss

IGNORED = -100
"""The class that PyTorch's cross-entropy leaves out."""
CLASSES = (torch.int64, torch.uint8)
"""Types that it takes classes in."""


class OutputDerivatives(NamedTuple):
    """Derivatives of each sample's loss ℓ with respect to its outputs f, of size C.

    ∂²ℓ/∂f² is diag(d), or where the outputs are coupled diag(d) − ddᵀ/s with s = Σd: that is
    s (diag(p) − ppᵀ) with p = d/s, and does not see a number added to all outputs.

    Attributes:
        gradient: (n, C) first derivatives ∂ℓ/∂f.
        weights: (n, C) diagonals d, not negative.
        coupled: whether −ddᵀ/s is there.
    """

    gradient: Tensor
    weights: Tensor
    coupled: bool

    @property
    def total(self) -> Tensor:
        """(n, 1) s."""
        return self.weights.sum(1, keepdim=True)

    def diagonal(self) -> Tensor:
        """(n, C) the diagonal of ∂²ℓ/∂f²; 1 − p as a sum of the others where p is near one."""
        if not self.coupled:
            return self.weights
        p = self.weights / self.total
        likely = p.argmax(1, keepdim=True)
        others = p.scatter(1, likely, 0).sum(1, keepdim=True)
        return self.weights * (1 - p).scatter(1, likely, others)

    def times(self, block: Tensor) -> Tensor:
        """∂²ℓ/∂f² times (n, C, m).

        The row of the most likely class is subtracted first, which changes nothing but the rounding
        where p is near one.
        """
        d = self.weights[:, :, None]
        if not self.coupled:
            return d * block
        likely = self.weights.argmax(1)
        block = block - block[torch.arange(len(block), device=block.device), likely][:, None]
        return block.sub_((d / self.total[:, :, None]).mT @ block).mul_(d)

    def factor(self) -> Tensor:
        """(n, C, R) S with S Sᵀ = ∂²ℓ/∂f²; R is C, and C − 1 where the outputs are coupled.

        With u = √p, a unit vector, diag(p) − ppᵀ = diag(u)(I − uuᵀ)diag(u). The last C − 1 columns
        of the Householder reflection that takes the first axis to −u are an orthonormal basis Q of
        the complement of u, so S = √s diag(u)Q. (Schraudolph 2002 has a C × C factor.)
        """
        root = self.weights.sqrt()
        if not self.coupled:
            return root.diag_embed()
        u = root / self.total.sqrt()
        head, tail = u[:, :1], u[:, 1:]
        basis = tail[:, :, None] * (tail / -(1 + head))[:, None]
        basis.diagonal(dim1=1, dim2=2).add_(1)
        return root[:, :, None] * torch.cat([-tail[:, None], basis], 1)


Derivatives: TypeAlias = Callable[[Tensor, Tensor], OutputDerivatives]
"""Function of outputs (n, C) and targets."""


def output_derivatives(loss: Loss) -> Derivatives | None:
    """The closed form for ``loss``, or None where it is not recognised.

    Recognised are `torch.nn.functional.cross_entropy` and `torch.nn.functional.mse_loss`, and their
    modules with default settings.
    """
    if isinstance(loss, nn.Module) and is_altered(loss):
        return None
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
    """Cross-entropy of the softmax p of the outputs: ∂ℓ/∂f = sp − y, ∂²ℓ/∂f² = s(diag(p) − ppᵀ).

    y is one at the target, or the target itself; s is its sum.

    Args:
        outputs: (n, C) logits.
        targets: (n,) classes, none of them ignored, or (n, C) probabilities of the classes.

    Raises:
        ValueError: if targets are not classes in 0 … C − 1, of a type that PyTorch takes for
            these, or probabilities that have a sum.
    """
    n, classes = outputs.shape
    p = torch.softmax(outputs, 1)
    if targets.is_floating_point() and targets.shape == outputs.shape:
        total = targets.sum(1, keepdim=True)
        if total.min() <= 0:
            raise ValueError(
                f"class probabilities must have a positive sum for each sample, got {total.min():g}"
            )
        return OutputDerivatives(p * total - targets, p * total, coupled=True)
    if targets.shape != (n,) or targets.dtype not in CLASSES:
        raise ValueError(
            f"cross-entropy targets must be {n} classes, got {targets.dtype} "
            f"{tuple(targets.shape)}; PyTorch takes classes of type int64 (.long()) and uint8"
        )
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"classes must lie in 0 … {classes - 1}, got {targets.min()} … {targets.max()}"
        )
    return OutputDerivatives(p - F.one_hot(targets.long(), classes), p, coupled=True)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> OutputDerivatives:
    """Mean of squares over the C outputs: ∂ℓ/∂f = 2(f − y)/C, ∂²ℓ/∂f² = 2I/C.

    Args:
        outputs: (n, C) outputs f.
        targets: (n, C) targets y, of any real type.

    Raises:
        ValueError: if the shapes differ: PyTorch would compare each output with every target.
    """
    if outputs.shape != targets.shape:
        raise ValueError(
            f"targets {tuple(targets.shape)} must have the shape of the outputs "
            f"{tuple(outputs.shape)}"
        )
    size = outputs.shape[1]
    weights = torch.full_like(outputs, 2 / size)
    return OutputDerivatives(2 * (outputs - targets.to(outputs)) / size, weights, coupled=False)
