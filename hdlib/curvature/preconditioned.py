"""The Hessian as an adaptive optimiser sees it."""

from __future__ import annotations

import torch
from torch import Tensor

from hdlib.curvature.linear import CurvatureOperator
from hdlib.curvature.symmetric import SymmetricOperator


class PreconditionedOperator(CurvatureOperator):
    """D^-½ A D^-½ for a symmetric A and a positive diagonal D; its eigenvalues are those of D⁻¹A.

    Args:
        operator: A, symmetric n × n.
        diagonal: entries of D, (n,), positive.

    Attributes:
        shape: size of the operator, (n, n).
        device: device of the vectors that are multiplied.
        dtype: type of the vectors that are multiplied.

    Raises:
        ValueError: if the diagonal does not fit or is not positive.
    """

    def __init__(self, operator: SymmetricOperator, diagonal: Tensor) -> None:
        super().__init__(operator.shape[0], operator.device, operator.dtype)
        diagonal = torch.as_tensor(diagonal)
        if diagonal.shape != self.shape[:1]:
            raise ValueError(f"the diagonal must be {self.shape[:1]}, got {tuple(diagonal.shape)}")
        if diagonal.is_complex():
            raise ValueError("the diagonal must be real, got a complex one")
        if not (diagonal > 0).all():
            raise ValueError(f"the diagonal must be positive, its least entry is {diagonal.min()}")
        if diagonal.isinf().any():
            raise ValueError("the diagonal must be finite, its largest entry is inf")
        self._operator = operator
        self._scale = diagonal.to(self.device, torch.float64).rsqrt().to(self.dtype)[:, None]

    def _multiply(self, block: Tensor) -> Tensor:
        return self._scale * (self._operator @ (self._scale * block))


def adam_diagonal(
    second_moment: Tensor, *, step: int, beta1: float, beta2: float, eps: float = 1e-8
) -> Tensor:
    """The preconditioner of Adam after ``step`` updates.

    (1 − β₁ᵗ) (√(ν / (1 − β₂ᵗ)) + ε) for the running mean ν of squared gradients: Adam is gradient
    descent with momentum preconditioned by it (Cohen et al. 2022, section 2).

    Args:
        second_moment: Adam's running mean ν of squared gradients.
        step: number t of updates, at least 1.
        beta1: decay β₁ of the first moment.
        beta2: decay β₂ of the second moment.
        eps: ε in the denominator of an update.

    Raises:
        ValueError: if ``step`` is not positive.
    """
    if step < 1:
        raise ValueError(f"step={step}: must be at least 1")
    root = (second_moment.double() / (1 - beta2**step)).sqrt()
    return (1 - beta1**step) * (root + eps)


def adam_ceiling(lr: float, beta1: float) -> float:
    """Largest stable eigenvalue of D⁻¹H under Adam: (2 + 2β₁) / ((1 − β₁) η).

    That of gradient descent with an exponential moving average of gradients on a quadratic; 38/η at
    β₁ = 0.9 (Cohen et al. 2022, equation 2). Weight decay is left out.

    Args:
        lr: learning rate η.
        beta1: decay β₁ of the first moment.
    """
    return (2 + 2 * beta1) / ((1 - beta1) * lr)
