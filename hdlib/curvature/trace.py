"""The trace of a symmetric operator from a few products."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hdlib.curvature.symmetric import SymmetricOperator

LEAST = 4
"""One product for the sketch, one for its range, two for a standard error of the rest."""


class TraceEstimate(NamedTuple):
    """An estimated trace.

    Attributes:
        value: the estimate, unbiased.
        standard_error: of the value, from the spread of the products that probe the rest. The error
            over it follows about Student's t, with a third of the products as degrees of freedom.
        products: columns the operator was applied to.
    """

    value: float
    standard_error: float
    products: int


def trace(operator: SymmetricOperator, *, products: int, seed: int = 0) -> TraceEstimate:
    """The trace of a symmetric A by Hutch++ (Meyer, Musco, Musco & Woodruff 2021, algorithm 1).

    With random signs S, G and Q an orthonormal basis of the range of AS,

        tr A = tr QᵀAQ + tr (I − QQᵀ)A(I − QQᵀ),

    the first exactly, the second as the mean of gᵀ(I − QQᵀ)A(I − QQᵀ)g over the columns g of G. A
    third of the m products goes to each of AS, AQ and AG, what is left over to G. The standard
    error falls like 1/m where A is positive semi-definite, against 1/√m for Hutchinson's estimator,
    and is zero up to rounding where the rank of A is at most m/3.

    Args:
        operator: A, n × n, symmetric, float64.
        products: m, at least 4.
        seed: of the signs, drawn on the CPU, so the same on every device.

    Raises:
        ValueError: if the operator is not square and float64, ``products`` is too small, or a
            product is not finite.

    Example:
        >>> ones = torch.ones(50, 50, dtype=torch.float64)
        >>> round(trace(ones, products=6).value, 10)
        50.0
    """
    n = operator.shape[0]
    if n == 0 or tuple(operator.shape) != (n, n):
        raise ValueError(f"a square operator is needed, got shape {tuple(operator.shape)}")
    if operator.dtype != torch.float64:
        raise ValueError(f"a float64 operator is needed, got {operator.dtype}")
    if products < LEAST:
        raise ValueError(f"products must be at least {LEAST}, got {products}")
    generator = torch.Generator().manual_seed(seed)

    def signs(columns: int) -> Tensor:
        bits = torch.randint(2, (n, columns), generator=generator)
        return (2.0 * bits.double() - 1).to(operator.device)

    sketched = min(products // 3, n)
    probes = products - 2 * (products // 3)
    basis = torch.linalg.qr(_product(operator, signs(sketched)))[0]
    inside = (basis * _product(operator, basis)).sum()
    rest = signs(probes)
    rest -= basis @ (basis.T @ rest)
    outside = (rest * _product(operator, rest)).sum(dim=0)
    return TraceEstimate(
        (inside + outside.mean()).item(),
        outside.std().item() / math.sqrt(probes),
        2 * sketched + probes,
    )


def _product(operator: SymmetricOperator, block: Tensor) -> Tensor:
    image = operator @ block
    if not torch.isfinite(image).all():
        raise ValueError("a product with the operator is not finite")
    return image
