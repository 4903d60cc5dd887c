"""Block Lanczos for the extreme eigenpairs of a symmetric operator."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from hdlib.curvature.krylov import BLOCK, Krylov
from hdlib.curvature.memory import announce
from hdlib.curvature.progress import progress
from hdlib.curvature.scaled import ScaledOperator, scaled_back
from hdlib.curvature.spectrum import ConvergenceError, Spectrum
from hdlib.curvature.symmetric import Matrix, SymmetricOperator, as_operator

Until: TypeAlias = Literal["both", "top"]
"""Ends at which all pairs have to converge before a search stops."""

PRODUCTS = 16
"""Vectors at a time in the last products."""
FIRST_CHECK, GROWTH = 2.0, 1.05
"""Convergence is looked at when the space holds this many times the pairs that it is waited for,
and after every growth by this factor: a projected eigenproblem costs a few products."""
SPACE, FLOOR = 12, 16 * BLOCK
"""The space may grow to this many times the wanted pairs, and to so many vectors, before it is
restarted."""
SAFETY = 0.7
"""The search goes to this share of the tolerance: the rest is for its own rounding."""
NEAR = 10
"""Pairs up to so many times the tolerance away from it are worth products in double precision."""
POLISH, FEW = 3, 8
"""Rounds of adding residuals to the span, and of no more than one pair in so many: these are what
the search's rounding leaves."""
PATIENCE = 50
"""Products for each wanted pair, beside n, before giving up."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest residual over the largest |λ|, by the type of the products."""
LEAST_TOLERANCE = {torch.float64: 0.0, torch.float32: 1e-6}
"""What residuals of such products can show: below, they are rounding."""


def lanczos(
    operator: Matrix | SymmetricOperator,
    *,
    top: int,
    bottom: int,
    tol: float | None = None,
    search: Matrix | SymmetricOperator | None = None,
    start: Tensor | None = None,
    block: int = BLOCK,
    space: int | None = None,
    max_products: int | None = None,
    seed: int = 0,
    mark: bool = False,
    until: Until = "both",
) -> Spectrum:
    """The highest and lowest eigenpairs, by thick-restart block Lanczos.

    The Krylov space of a random block is kept orthonormal against all of itself, so that no
    eigenvalue appears more often than it is (Parlett 1998, section 13.8). A block finds
    multiplicities up to its width from the start (Golub & Underwood 1977), and higher ones through
    random directions that replace exhausted ones. When the space is full it is restarted with the
    Ritz vectors at both ends (Wu & Simon 2000, here for blocks).

    The vectors found are then multiplied by the operator once more: what is returned are the Ritz
    pairs of *these* products, in float64, and their residuals. So the space may come from a cheaper
    operator close to it, in single precision for example, and the pairs are no less certain. Those
    that the search left at more than ten times the tolerance are spared this; their residuals are
    what the search knows.

    Where only the top is waited for, the lower end comes as far as the search has got by then: a
    pair whose residual is within tolerance is multiplied again as those of the top are, and so
    certified; the others are marked. Their values are upper bounds, as every Ritz value at that
    end is.

    An operator of type float32 is multiplied in float32, and all else is done in float64: the
    certificate then is one of float32 products, and says so. Where squares of the products would
    leave the range of float64, the operator is scaled by a power of two.

    Args:
        operator: A, symmetric n × n, as `hdlib.spectrum` takes it.
        top: number of pairs at the upper end.
        bottom: number of pairs at the lower end; with ``top`` at most n.
        tol: largest residual ‖Av − λv‖₂ over the largest |λ| found; by default 1e-6, or 1e-4 for
            products in float32, which cannot certify less than 1e-6.
        search: operator within about ``tol`` of A to build the space with; its type is that of
            the space. A itself where None.
        start: (n, w) vectors near the wanted ones, such as those of a nearby operator; the first
            block mixes them with random vectors, so that none is missed.
        block: number of vectors multiplied at a time in the search; where few pairs are wanted,
            and none of them many times over, 4 need fewer products than 8.
        space: largest dimension of the space; by default twelve times the wanted pairs, or 128
            where these are few, or ``max_products`` where it is less, and a margin.
        max_products: number of products of the search after which to give up, at least one for
            each wanted pair; by default 50 for each, and n.
        seed: seed of the random vectors.
        mark: whether pairs that did not converge are returned, not ``certified``, in place of an
            error.
        until: "both" where the pairs of both ends have to converge, "top" where those of the lower
            end are returned, certified or marked, as they are when all of the top have converged.

    Raises:
        TypeError: for what is no matrix or operator.
        ValueError: if an argument is not what is allowed, the operator is not symmetric, or a
            product is not finite.
        MemoryError: if the space would not fit into memory; what it takes is logged first.
        ConvergenceError: if the products do not suffice.

    Example:
        >>> s = lanczos(torch.diag(torch.arange(9.0).double()), top=2, bottom=1)
        >>> s.eigenvalues.round(6).tolist()
        [0.0, 7.0, 8.0]
    """
    operator = as_operator(operator)
    n, wanted = operator.shape[0], top + bottom
    if search is None:
        quick = ScaledOperator(operator)
    else:
        search = as_operator(search)
        quick = ScaledOperator(search, dtype=search.dtype)
    tol = TOLERANCE[operator.dtype] if tol is None else tol
    if tuple(quick.shape) != (n, n):
        shapes = f"({n}, {n}) and {tuple(quick.shape)}"
        raise ValueError(f"operators of one shape are needed, got {shapes}")
    if top < 0 or bottom < 0 or not 0 < wanted <= n:
        raise ValueError(f"top={top}, bottom={bottom}: together at least 1 and at most n = {n}")
    if until not in get_args(Until):
        raise ValueError(f"until={until!r}: allowed are {', '.join(map(repr, get_args(Until)))}")
    if until == "top" and not top:
        raise ValueError(f"until='top' with top={top}: there must be a pair to wait for")
    if not 0 < tol < 1:
        raise ValueError(f"tol={tol}: must be positive and less than 1, which certifies nothing")
    if tol < LEAST_TOLERANCE[operator.dtype]:
        raise ValueError(
            f"tol={tol}: products in {_name(operator.dtype)} certify no less than "
            f"{LEAST_TOLERANCE[operator.dtype]:.0e}; take an operator of type float64"
        )
    if start is not None and (start.ndim != 2 or len(start) != n):
        raise ValueError(f"start must be ({n}, w), got {tuple(start.shape)}")
    max_products = PATIENCE * wanted + n if max_products is None else max_products
    if max_products < wanted:
        raise ValueError(f"max_products={max_products}: must be at least {wanted}, one for a pair")
    if block < 1:
        raise ValueError(f"block={block}: must be at least 1")
    least = wanted + 3 * block
    space = min(n, space or min(max(SPACE * wanted, FLOOR), max_products) + least)
    if space > n - block:
        # The next block would not be orthogonal to all before it.
        space = n
    if space < min(n, least):
        raise ValueError(f"space={space}: must be at least {least} for {wanted} pairs")
    announce(
        f"Lanczos with up to {space:,} vectors of {n:,} numbers",
        (2 * space * quick.dtype.itemsize + 5 * wanted * 8) * n,
        operator.device,
    )
    krylov = Krylov(quick, space, seed, block=block, check=search is None)
    awaited = torch.ones(wanted, dtype=torch.bool, device=operator.device)
    awaited[:bottom] = until == "both"
    found = _searched(krylov, start, bottom, top, tol, max_products, awaited)
    exact = quick if search is None else ScaledOperator(operator, like=quick)
    found = _certified_where_near(exact, found, bottom, tol, awaited)
    # What is certified may have moved past what is not.
    order = found.values.argsort(stable=True)
    values = scaled_back("eigenvalues", found.values[order].cpu().numpy(), exact.exponent)
    pairs = Spectrum(
        n=n,
        eigenvalues=values,
        lowest=bottom,
        indices=np.arange(wanted),
        residuals=scaled_back("residuals", found.residuals[order].cpu().numpy(), exact.exponent),
        vectors=found.vectors[:, order].cpu().numpy(),
        scale=float(np.abs(values).max()),
        tol=tol,
        products=found.products,
        dtype=_name(operator.dtype),
    )
    missed = ~pairs.certified & awaited.cpu().numpy()
    if missed.any() and not mark:
        worst = int((pairs.residuals * missed).argmax())
        raise ConvergenceError(
            f"{missed.sum()} of {awaited.sum()} eigenpairs did not converge within "
            f"{pairs.products:,} products: that of λ = {pairs.eigenvalues[worst]:.6g} has residual "
            f"{pairs.residuals[worst]:.2e}, allowed are "
            f"{tol * pairs.scale:.2e}"
        )
    return pairs


class _Ritz(NamedTuple):
    """Values and residuals (m,), vectors (n, m), and how many vectors were multiplied."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int


def _searched(
    krylov: Krylov,
    start: Tensor | None,
    bottom: int,
    top: int,
    tol: float,
    max_products: int,
    awaited: Tensor,
) -> _Ritz:
    """Ritz pairs at both ends of a Krylov space that is grown, and restarted, until they converge.

    Those do that are waited for. Their residuals are estimates.
    """
    space, n = len(krylov.projected), krylov.operator.shape[0]
    if space == n:
        krylov.fill()
    else:
        krylov.begin(start)
    check = int(FIRST_CHECK * awaited.sum())
    with progress("lanczos") as bar:
        while True:
            if krylov.size < n:
                krylov.extend()
            bar.update(krylov.products - bar.n)
            size = krylov.size
            full = size + krylov.width > space
            spent = krylov.products >= max_products
            if size < max(check, len(awaited)) and not full and not spent:
                continue
            values, coordinates = torch.linalg.eigh(krylov.projected[:size, :size], UPLO="U")
            ends = torch.cat([torch.arange(bottom), torch.arange(size - top, size)])
            ends = ends.to(values.device)
            residuals = krylov.residual_estimates(coordinates[:, ends])
            converged = residuals[awaited].max() <= SAFETY * tol * values.abs().max()
            if converged or spent or size == n:
                break
            check = int(size * GROWTH)
            if full:
                krylov.restart(values, coordinates, bottom, top)
                check = 0
    vectors = _orthonormal(krylov.combine(coordinates[:, ends]).double())
    return _Ritz(values[ends], vectors, residuals, krylov.products)


def _certified_where_near(
    operator: ScaledOperator, found: _Ritz, bottom: int, tol: float, awaited: Tensor
) -> _Ritz:
    """The pairs that are not far from converged, certified; the others as they are.

    Those that were not waited for have to be converged.
    """
    values, vectors, residuals, products = found
    allowed = tol * values.abs().max()
    near = residuals <= torch.where(awaited, NEAR, SAFETY) * allowed
    if near.any():
        low = int(near[:bottom].sum())
        sure = _certified(operator, vectors[:, near], low, allowed)
        # What polishing added to the span may overlap with the pairs that are not certified.
        rest = vectors[:, ~near]
        rest = torch.linalg.qr(rest - sure.vectors @ (sure.vectors.T @ rest))[0]
        vectors[:, near], vectors[:, ~near] = sure.vectors, rest
        values[near], residuals[near] = sure.values, sure.residuals
        products += sure.products
    return _Ritz(values, vectors, residuals, products)


def _certified(operator: ScaledOperator, vectors: Tensor, bottom: int, allowed: Tensor) -> _Ritz:
    """Ritz pairs of the operator on the span of orthonormal vectors, with their residuals.

    Where the search's rounding left pairs a little above what is allowed, their residuals are added
    to the span: for a pair apart from the bulk one such step is as good as many products.
    """
    wanted = vectors.shape[1]
    images = _multiply(operator, vectors)
    products = wanted
    polish = 0
    while True:
        projected = vectors.T @ images
        values, rotation = torch.linalg.eigh((projected + projected.T) / 2)
        size = len(values)
        ends = torch.cat([torch.arange(bottom), torch.arange(size - wanted + bottom, size)])
        values, rotation = values[ends.to(values.device)], rotation[:, ends.to(values.device)]
        vectors, images = vectors @ rotation, images @ rotation
        rest = images - vectors * values
        residuals = rest.norm(dim=0)
        near = ((residuals > allowed) & (residuals <= NEAR * allowed)).nonzero()[:, 0]
        near = near[residuals[near].argsort()][: max(1, wanted // FEW)]
        if polish == POLISH or not len(near):
            return _Ritz(values, vectors, residuals, products)
        more = rest[:, near]
        for _ in range(2):
            more = torch.linalg.qr(more - vectors @ (vectors.T @ more))[0]
        vectors = torch.cat([vectors, more], 1)
        images = torch.cat([images, _multiply(operator, more)], 1)
        products += more.shape[1]
        polish += 1


def _orthonormal(columns: Tensor) -> Tensor:
    """The same span from columns that are orthonormal already up to single precision."""
    factor = torch.linalg.cholesky(columns.T @ columns)
    return torch.linalg.solve_triangular(factor.T, columns, upper=True, left=False)


def _multiply(operator: ScaledOperator, vectors: Tensor) -> Tensor:
    return torch.cat([operator @ block for block in vectors.split(PRODUCTS, 1)], 1)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
