"""Block Lanczos for the extreme eigenpairs of a symmetric operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hdlib.curvature.krylov import BLOCK, Krylov
from hdlib.curvature.memory import announce
from hdlib.curvature.symmetric import SymmetricOperator

PRODUCTS = 16
"""Vectors at a time in the last products."""
FIRST_CHECK, GROWTH = 2.5, 1.3
"""Convergence is looked at when the space holds this many times the wanted pairs, and after every
growth by this factor: a projected eigenproblem costs as much as hundreds of products."""
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


class ConvergenceError(ArithmeticError):
    """A decomposition does not meet its tolerance."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenpairs at both ends of the spectrum of a symmetric n × n operator A.

    Attributes:
        eigenvalues: (m,) float64, ascending: the lowest, then the highest.
        vectors: (n, m) float64, orthonormal columns.
        residuals: (m,) float64, ‖Av − λv‖₂; where the search left it above ten times the tolerance,
            as the search knows it.
        bottom: how many of them are the lowest.
        tol: the largest residual over the largest |λ| that was asked for.
        products: how many vectors were multiplied by A.
    """

    eigenvalues: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    bottom: int
    tol: float
    products: int

    @property
    def converged(self) -> NDArray[np.bool_]:
        """(m,) whether a pair's residual is within the tolerance."""
        return self.residuals <= self.tol * np.abs(self.eigenvalues).max()


def lanczos(
    operator: SymmetricOperator,
    *,
    top: int,
    bottom: int,
    tol: float = 1e-6,
    search: SymmetricOperator | None = None,
    start: Tensor | None = None,
    space: int | None = None,
    max_products: int | None = None,
    seed: int = 0,
    mark: bool = False,
) -> Eigenpairs:
    """The highest and lowest eigenpairs, by thick-restart block Lanczos.

    The Krylov space of a random block is kept orthonormal against all of itself, so that no
    eigenvalue appears more often than it is (Parlett 1998, section 13.8). A block finds
    multiplicities up to its width from the start (Golub & Underwood 1977), and higher ones through
    random directions that replace exhausted ones. When the space is full it is restarted with the
    Ritz vectors at both ends (Wu & Simon 2000, here for blocks).

    The vectors found are then multiplied by the operator once more: what is returned are the Ritz
    pairs of *these* products, in float64, and their residuals. So the space may come from a cheaper
    operator close to it, in single precision for example, and the pairs are no less certain. Those
    that the search left at more than ten times the tolerance are spared this.

    Args:
        operator: A, n × n, symmetric, float64.
        top: pairs at the upper end.
        bottom: pairs at the lower end; with ``top`` at most n.
        tol: largest residual ‖Av − λv‖₂ over the largest |λ| found.
        search: an operator within about ``tol`` of A to build the space with; its type is that of
            the space. A itself where None.
        start: (n, w), vectors near the wanted ones, such as those of a nearby operator; the first
            block mixes them with random vectors, so that none is missed.
        space: largest dimension of the space; by default twelve times the wanted pairs, or 128
            where these are few, or ``max_products`` where it is less, and a margin.
        max_products: products of the search after which to give up, at least one for each wanted
            pair; by default 50 for each, and n.
        seed: of the random vectors.
        mark: return pairs that did not converge, marked in ``converged``, instead of raising.

    Raises:
        ValueError: if an argument is not what is allowed, or a product is not finite.
        MemoryError: if the space would not fit into memory; what it takes is logged first.
        ConvergenceError: if the products do not suffice.

    Example:
        >>> s = lanczos(torch.diag(torch.arange(9.0).double()), top=2, bottom=1)
        >>> s.eigenvalues.round(6).tolist()
        [0.0, 7.0, 8.0]
    """
    search = operator if search is None else search
    n = operator.shape[0]
    wanted = top + bottom
    if tuple(operator.shape) != (n, n) or tuple(search.shape) != (n, n):
        shapes = " and ".join(str(tuple(a.shape)) for a in (operator, search))
        raise ValueError(f"square operators of one shape are needed, got {shapes}")
    if operator.dtype != torch.float64:
        raise ValueError(f"a float64 operator is needed, got {operator.dtype}")
    if top < 0 or bottom < 0 or not 0 < wanted <= n:
        raise ValueError(f"top={top}, bottom={bottom}: together at least 1 and at most n = {n}")
    if not tol > 0:
        raise ValueError(f"tol={tol}: must be positive")
    if start is not None and (start.ndim != 2 or len(start) != n):
        raise ValueError(f"start must be ({n}, w), got {tuple(start.shape)}")
    max_products = PATIENCE * wanted + n if max_products is None else max_products
    if max_products < wanted:
        raise ValueError(f"max_products={max_products}: must be at least {wanted}, one for a pair")
    least = wanted + 3 * BLOCK
    space = min(n, space or min(max(SPACE * wanted, FLOOR), max_products) + least)
    if space > n - BLOCK:
        # The next block would not be orthogonal to all before it.
        space = n
    if space < min(n, least):
        raise ValueError(f"space={space}: must be at least {least} for {wanted} pairs")
    announce(
        f"Lanczos with up to {space:,} vectors of {n:,} numbers",
        (2 * space * search.dtype.itemsize + 5 * wanted * 8) * n,
        operator.device,
    )
    krylov = Krylov(search, space, seed)
    if space == n:
        krylov.fill()
    else:
        krylov.begin(start)
    check = int(FIRST_CHECK * wanted)
    progress = tqdm(desc="lanczos", unit="product", disable=None, leave=False)
    while True:
        if krylov.size < n:
            krylov.extend()
        progress.update(krylov.products - progress.n)
        size = krylov.size
        full = size + BLOCK > space
        spent = krylov.products >= max_products
        if size < check and not full and not spent:
            continue
        values, coordinates = torch.linalg.eigh(krylov.projected[:size, :size], UPLO="U")
        ends = torch.cat([torch.arange(bottom), torch.arange(size - top, size)]).to(values.device)
        largest = krylov.residual_estimates(coordinates[:, ends]).max()
        if largest <= SAFETY * tol * values.abs().max() or spent or size == n:
            break
        check = int(size * GROWTH)
        if full:
            krylov.restart(values, coordinates, bottom, top)
            check = 0
    progress.close()
    values, residuals = values[ends], krylov.residual_estimates(coordinates[:, ends])
    vectors = _orthonormal(krylov.combine(coordinates[:, ends]).double())
    products = krylov.products
    allowed = tol * values.abs().max()
    near = residuals <= NEAR * allowed
    if near.any():
        low = int(near[:bottom].sum())
        sure = _certified(operator, vectors[:, near], low, allowed)
        # What polishing added to the span may overlap with the pairs that are not certified.
        rest = vectors[:, ~near]
        rest = torch.linalg.qr(rest - sure.vectors @ (sure.vectors.T @ rest))[0]
        vectors[:, near], vectors[:, ~near] = sure.vectors, rest
        values[near], residuals[near] = sure.values, sure.residuals
        products += sure.products
    # What is certified may have moved past what is not.
    order = torch.cat([values[:bottom].argsort(), bottom + values[bottom:].argsort()])
    pairs = Eigenpairs(
        values[order].cpu().numpy(),
        vectors[:, order].cpu().numpy(),
        residuals[order].cpu().numpy(),
        bottom,
        tol,
        products,
    )
    failed = ~pairs.converged
    if failed.any() and not mark:
        worst = int(pairs.residuals.argmax())
        raise ConvergenceError(
            f"{failed.sum()} of {len(failed)} eigenpairs did not converge within {products:,} "
            f"products: that of λ = {pairs.eigenvalues[worst]:.6g} has residual "
            f"{pairs.residuals[worst]:.2e}, allowed are "
            f"{tol * np.abs(pairs.eigenvalues).max():.2e}"
        )
    return pairs


class _Ritz(NamedTuple):
    """Values and residuals (m,), vectors (n, m), and how many vectors were multiplied."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int


def _certified(operator: SymmetricOperator, vectors: Tensor, bottom: int, allowed: Tensor) -> _Ritz:
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


def _multiply(operator: SymmetricOperator, vectors: Tensor) -> Tensor:
    return torch.cat([operator @ block for block in vectors.split(PRODUCTS, 1)], 1)
