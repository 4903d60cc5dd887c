"""The whole spectrum of a symmetric operator as a density, by stochastic Lanczos quadrature."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature.memory import announce
from hdlib.curvature.progress import progress
from hdlib.curvature.quadrature import Density
from hdlib.curvature.scaled import ScaledOperator, scaled_back
from hdlib.curvature.streams import stream
from hdlib.curvature.symmetric import (
    Matrix,
    SymmetricOperator,
    as_operator,
    require_symmetric_products,
)

ORTHONORMAL = 1e-8
"""Largest entry of UᵀU − I for known eigenvectors U."""


def density(
    matrix: Matrix | SymmetricOperator,
    *,
    probes: int = 8,
    steps: int = 64,
    seed: int = 0,
    deflate: tuple[Tensor, Tensor] | None = None,
) -> Density:
    """The spectral density of a symmetric A by stochastic Lanczos quadrature.

    For v uniform on the sphere, E vᵀf(A)v = 1/n Σ f(λᵢ), and k Lanczos steps from v give the Gauss
    quadrature of vᵀf(A)v: the Ritz values θⱼ are its nodes, the squares of the first components
    of the eigenvectors of the tridiagonal matrix its weights (Golub & Meurant 2010, chapter 6;
    Ubaru, Chen & Saad 2017, algorithm 1; Ghorbani, Krishnan & Xiao 2019, algorithm 1). Each probe
    is a run of its own with full reorthogonalisation; all of them advance by one product with a
    block. A run whose Krylov space is exhausted is exact and stops.

    Known eigenpairs are deflated: they enter exactly, 1/n each, and the probes are uniform on the
    sphere of the n − m other directions, whose quadrature weighs (n − m)/n. The variance comes from
    those alone, so deflating the outliers makes the errors of traces and moments much smaller.

    It takes probes · steps products, in blocks of ``probes`` columns, and
    probes · steps · n · 8 bytes for the vectors. Products in single precision, where the operator's
    type is that, are good to about 10⁻⁷ ‖A‖, far below what a few probes leave open.

    Args:
        matrix: A, a symmetric n × n matrix or operator, as `hdlib.spectrum` takes it.
        probes: number of random vectors, at least 2, for a standard error.
        steps: number k of nodes a probe; n − m where that is less.
        seed: seed of the probes, drawn on the CPU, so the same on every device. They are others
            than those that `hdlib.lanczos` starts from with the same seed.
        deflate: eigenvalues (m,) and their vectors (n, m), float64 with orthonormal columns. That
            they are eigenpairs is not checked.

    Raises:
        TypeError: for what is no matrix or operator.
        ValueError: if an argument is out of range, the vectors do not fit or are not orthonormal,
            the matrix is not symmetric, or a product is not finite.
        MemoryError: if the vectors would not fit into memory; what they take is logged first.

    Example:
        >>> count = density(torch.eye(5).double()).count(0.5, 1.5)
        >>> round(count.value, 6), round(count.standard_error, 6)
        (5.0, 0.0)
    """
    operator = ScaledOperator(as_operator(matrix))
    n = operator.shape[0]
    if probes < 2:
        raise ValueError(f"probes must be at least 2, got {probes}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if deflate is None:
        deflate = torch.zeros(0, dtype=torch.float64), torch.zeros(n, 0, dtype=torch.float64)
    _check_pairs(n, *deflate)
    known, vectors = (part.detach().to(operator.device) for part in deflate)
    # Where all is known, a quadrature of one node has weight zero.
    steps = min(steps, max(n - len(known), 1))
    announce(
        f"Lanczos quadrature with {probes * steps:,} vectors of {n:,} numbers",
        probes * steps * n * 8,
        operator.device,
    )
    start = torch.randn(probes, n, generator=stream("density", seed), dtype=torch.float64)
    diagonal, coupling = _lanczos(operator, start.to(operator.device), vectors, steps)
    return Density(
        n,
        known.sort().values.cpu().numpy(),
        scaled_back("nodes", diagonal, operator.exponent),
        scaled_back("nodes", coupling, operator.exponent),
    )


def _lanczos(
    operator: SymmetricOperator, start: Tensor, deflated: Tensor, steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diagonal and coupling (probes, steps) of the Lanczos runs from the rows of ``start``."""
    probes, n = start.shape
    basis = start.new_zeros(probes, steps, n)
    diagonal = start.new_zeros(probes, steps)
    coupling = start.new_zeros(probes, steps)
    scale = start.new_zeros(probes)
    rows = _deflate(_deflate(start, deflated), deflated)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    with progress("density", probes * steps) as bar:
        for step in range(steps):
            basis[:, step] = rows
            image = _deflate((operator @ rows.T).T.contiguous(), deflated)
            bar.update(probes)
            if step == 0 and not deflated.shape[1]:
                require_symmetric_products(rows @ image.T)
            diagonal[:, step] = (rows * image).sum(dim=1)
            rows = _outside(image, basis[:, : step + 1])
            norms = rows.norm(dim=1)
            scale = torch.maximum(scale, image.norm(dim=1))
            exhausted = norms <= n * torch.finfo(torch.float64).eps * scale
            if exhausted.all():
                break
            # An exhausted run goes on with the zero vector: the nodes that adds have weight 0.
            coupling[:, step] = norms.masked_fill(exhausted, 0)
            rows = torch.where(exhausted[:, None], 0, rows / norms[:, None])
    return diagonal.cpu().numpy(), coupling.cpu().numpy()


def _deflate(rows: Tensor, vectors: Tensor) -> Tensor:
    """What of each row is orthogonal to the vectors."""
    return rows - (rows @ vectors) @ vectors.T


def _outside(rows: Tensor, basis: Tensor) -> Tensor:
    """What of each row is orthogonal to its own run's basis."""
    rest = rows.clone()
    # Twice is enough (Parlett 1998, section 6.9).
    for _ in range(2):
        for row, vectors in zip(rest, basis, strict=True):
            row -= vectors.T @ (vectors @ row)
    return rest


def _check_pairs(n: int, eigenvalues: Tensor, vectors: Tensor) -> None:
    m = len(eigenvalues)
    if eigenvalues.shape != (m,) or vectors.shape != (n, m):
        raise ValueError(
            f"deflate needs eigenvalues (m,) and vectors ({n}, m), "
            f"got {tuple(eigenvalues.shape)} and {tuple(vectors.shape)}"
        )
    for name, part in (("eigenvalues", eigenvalues), ("vectors", vectors)):
        if part.dtype != torch.float64:
            raise ValueError(f"deflate needs float64 {name}, got {part.dtype}")
        if not torch.isfinite(part).all():
            raise ValueError(f"deflate needs finite {name}")
    defect = vectors.T @ vectors
    defect.diagonal().sub_(1)
    if m and defect.abs().max() > ORTHONORMAL:
        raise ValueError(
            "deflate needs orthonormal vectors, the largest entry of UᵀU − I is "
            f"{defect.abs().max().item():.2e}, allowed are {ORTHONORMAL:.0e}"
        )
