"""The trace of a symmetric operator from a few products."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hdlib.curvature.progress import progress
from hdlib.curvature.scaled import ScaledOperator, scaled_back
from hdlib.curvature.symmetric import (
    Matrix,
    SymmetricOperator,
    as_operator,
    require_symmetric_products,
)
from hdlib.saving import Saved

LEAST = 4
"""One product for the sketch, one for its range, two for a standard error of the rest."""
BLOCK = 16
"""Vectors at a time."""


@dataclass(frozen=True)
class TraceEstimate(Saved):
    """An estimated trace.

    Attributes:
        value: unbiased estimate of the trace.
        standard_error: standard error of the value, from the spread of the products that probe the
            rest. The error over it follows about Student's t, with a third of the products as
            degrees of freedom.
        products: number of columns that the operator was applied to.
    """

    value: float
    standard_error: float
    products: int


def trace(
    matrix: Matrix | SymmetricOperator, *, products: int = 60, seed: int = 0
) -> TraceEstimate:
    """The trace of a symmetric A by Hutch++ (Meyer, Musco, Musco & Woodruff 2021, algorithm 1).

    With random signs S, G and Q an orthonormal basis of the range of AS,

        tr A = tr QᵀAQ + tr (I − QQᵀ)A(I − QQᵀ),

    the first exactly, the second as the mean of gᵀ(I − QQᵀ)A(I − QQᵀ)g over the columns g of G. A
    third of the m products goes to each of AS, AQ and AG, what is left over to G. The standard
    error falls like 1/m where A is positive semi-definite, against 1/√m for Hutchinson's estimator,
    and is zero up to rounding where the rank of A is at most m/3.

    Args:
        matrix: A, a symmetric n × n matrix or operator, as `hdlib.spectrum` takes it.
        products: number m of products, at least 4.
        seed: seed of the signs, drawn on the CPU, so the same on every device.

    Raises:
        TypeError: for what is no matrix or operator.
        ValueError: if the matrix is not square, real and symmetric, ``products`` is too small, or a
            product is not finite.

    Example:
        >>> ones = torch.ones(50, 50, dtype=torch.float64)
        >>> round(trace(ones, products=6).value, 10)
        50.0
    """
    operator = ScaledOperator(as_operator(matrix))
    n = operator.shape[0]
    if products < LEAST:
        raise ValueError(f"products must be at least {LEAST}, got {products}")
    generator = torch.Generator().manual_seed(seed)
    sketched = min(products // 3, n)
    probes = products - 2 * (products // 3)

    def signs(columns: int) -> Tensor:
        bits = torch.randint(2, (n, columns), generator=generator)
        return (2.0 * bits.double() - 1).to(operator.device)

    with progress("trace", 2 * sketched + probes) as bar:

        def multiply(block: Tensor) -> Tensor:
            images = []
            for part in block.split(BLOCK, 1):
                images.append(operator @ part)
                bar.update(part.shape[1])
            return torch.cat(images, 1)

        basis = torch.linalg.qr(multiply(signs(sketched)))[0]
        projected = basis.T @ multiply(basis)
        rest = signs(probes)
        rest -= basis @ (basis.T @ rest)
        outside = (rest * multiply(rest)).sum(dim=0)
    require_symmetric_products(projected)
    estimate = torch.stack([projected.trace() + outside.mean(), outside.std() / math.sqrt(probes)])
    value, error = scaled_back("traces", estimate.cpu().numpy(), operator.exponent).tolist()
    return TraceEstimate(value, error, 2 * sketched + probes)
