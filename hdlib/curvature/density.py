"""The whole spectrum of a symmetric operator as a density, by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from scipy.stats import norm
from torch import Tensor

from hdlib.curvature.memory import announce
from hdlib.curvature.progress import progress
from hdlib.curvature.scaled import ScaledOperator, scaled_back
from hdlib.curvature.symmetric import (
    Matrix,
    SymmetricOperator,
    as_operator,
    require_symmetric_products,
)
from hdlib.saving import Saved

ORTHONORMAL = 1e-8
"""Largest entry of UᵀU − I for known eigenvectors U."""

LARGEST_SHIFT = 1e6
"""Bound on the last entry of a Radau matrix over the others; it is infinite where the bound to
prescribe is a Gauss node already, and would drown the other entries' digits."""

Function = Callable[[NDArray[np.float64]], NDArray[np.floating]]
Value = TypeVar("Value", float, NDArray[np.float64])


class Estimate(NamedTuple, Generic[Value]):
    """A mean over random probes.

    Attributes:
        value: the mean.
        standard_error: of the mean, from the spread of the probes. With few probes the error over
            it follows Student's t with probes − 1 degrees of freedom.
    """

    value: Value
    standard_error: Value


class Count(NamedTuple):
    """An estimated number of eigenvalues, with both of its errors.

    Attributes:
        value: the middle of ``lowest`` and ``highest``.
        standard_error: of the value, from the spread of the probes (see `Estimate`).
        lowest: the least that the quadratures allow, mean over the probes; more steps raise it.
        highest: the most that they allow, mean over the probes; more steps lower it.
    """

    value: float
    standard_error: float
    lowest: float
    highest: float


@dataclass(frozen=True, repr=False, eq=False)
class Density(Saved):
    """The spectral density φ(t) = 1/n Σᵢ δ(t − λᵢ) of an operator, as one quadrature a probe.

    A quadrature with k nodes is exact for polynomials of degree 2k − 1, so `trace` and the first
    moments have no error but that of the random probes. The others are limited by the resolution
    too, about the k-th part of the width of the spectrum that is not known, finer towards its ends:
    more steps, not more probes, make it better.

    Attributes:
        n: size of the operator.
        known: (m,) float64, ascending, the eigenvalues that count exactly, 1/n each.
        diagonal: (probes, k) float64, of the tridiagonal Lanczos matrices T.
        coupling: (probes, k) float64, their other diagonals, and last the norm of what is left
            after k steps; 0 from where a run was exhausted.
    """

    n: int
    known: NDArray[np.float64]
    diagonal: NDArray[np.float64]
    coupling: NDArray[np.float64]

    def __repr__(self) -> str:
        probes, steps = self.diagonal.shape
        return (
            f"Density of {self.n:,} eigenvalues, {len(self.known):,} of them known, the others by "
            f"{probes} quadratures of {steps} nodes"
        )

    @cached_property
    def nodes(self) -> NDArray[np.float64]:
        """The Ritz values, (probes, k), ascending in each row."""
        return self._gauss[0]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights of the nodes, (probes, k); the sum of each row is (n − m)/n."""
        return (1 - len(self.known) / self.n) * self._gauss[1][:, 0] ** 2

    def density(self, grid: ArrayLike, *, width: float) -> Estimate[NDArray[np.float64]]:
        """The density smoothed by a Gaussian, 1/n Σᵢ N(t; λᵢ, width²), with integral 1.

        Args:
            grid: the points t, (g,).
            width: the standard deviation of the Gaussian, in units of the eigenvalues.

        Returns:
            (g,) float64, both the mean and its standard error at each point.

        Raises:
            ValueError: if the grid is not one-dimensional, or ``width`` is not positive.
        """
        points = np.asarray(grid, dtype=np.float64)
        if points.ndim != 1:
            raise ValueError(f"grid must have one dimension, got shape {points.shape}")
        if not 0 < width < math.inf:
            raise ValueError(f"width must be positive and finite, got {width}")
        probes = np.empty((len(points), len(self.diagonal)))
        for row, point in zip(probes, points, strict=True):
            row[:] = self._sums(partial(norm.pdf, point, scale=width)) / self.n
        return Estimate(probes.mean(axis=1), _standard_errors(probes))

    def trace(self) -> Estimate[float]:
        """The trace Σλ; `hdlib.curvature.trace` needs fewer products where only it is wanted."""
        return _mean(self._sums(lambda values: values))

    def moment(self, k: int) -> Estimate[float]:
        """The moment 1/n Σλᵏ.

        Raises:
            ValueError: if k is negative.
        """
        if k < 0:
            raise ValueError(f"k must not be negative, got {k}")
        return _mean(self._sums(lambda values: values**k) / self.n)

    def count(self, low: float, high: float) -> Count:
        """How many eigenvalues lie between ``low`` and ``high``, infinite ones allowed.

        The Gauss–Radau quadrature with a node at a bound x (Golub & Meurant 2010, section 6.2) has
        all that k steps say about the mass of a probe's measure below x: at least the weights of
        the nodes below x, and at most that of the node x more (inequalities of Chebyshev, Markov
        and Stieltjes). Counting the nodes of the Gauss quadrature instead would give a false value
        with a small standard error wherever a bound is near a cluster.

        For the number of negative eigenvalues take ``count(-inf, -tol * largest)``, with
        ``largest`` = |λ|max. A Hessian has a large cluster at zero, so that "below 0" has no
        numerical meaning, and a tol below the resolution shows as ``highest`` far above ``lowest``.

        A bound that is an eigenvalue itself falls to one side by rounding.

        Raises:
            ValueError: if not low < high.
        """
        if not low < high:
            raise ValueError(f"low < high is needed, got low = {low}, high = {high}")
        (low_least, low_most), (high_least, high_most) = self._below(low), self._below(high)
        least = np.maximum(high_least - low_most, 0)
        most = high_most - low_least
        exact = ((low < self.known) & (self.known < high)).sum()
        value, error = _mean(exact + (least + most) / 2)
        return Count(value, error, float(exact + least.mean()), float(exact + most.mean()))

    def entropy(self) -> Estimate[float]:
        """The spectral entropy −Σ p log p of p = |λ| / S, S = Σ|λ|, in nats, at most log n.

        As log S − 1/S Σ|λ| log|λ|, both sums by quadrature; the standard error by the delta method.
        0 for a spectrum of zeros, as in `hdlib.measures.spectral_summary`. |λ| has a kink at zero,
        which costs an error of order 1/k² that the standard error does not see.
        """

        def near_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.abs(np.ldexp(values, -self._exponent))

        sizes = self._sums(near_one)
        logs = self._sums(lambda values: xlogy(near_one(values), near_one(values)))
        S, L = sizes.mean(), logs.mean()
        if S == 0:
            return Estimate(0.0, 0.0)
        influence = ((1 + L / S) * sizes - logs) / S
        return Estimate(float(np.log(S) - L / S), float(_standard_errors(influence)))

    @cached_property
    def _exponent(self) -> int:
        """Of the power of two next above every number of the density."""
        parts = self.known, self.diagonal, self.coupling
        return int(np.frexp(max(np.abs(part).max(initial=0) for part in parts))[1])

    @cached_property
    def _gauss(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _eigh(self.diagonal, self.coupling[:, :-1])

    def _sums(self, function: Function) -> NDArray[np.float64]:
        """Each probe's estimate of Σᵢ f(λᵢ), (probes,)."""
        return function(self.known).sum() + self.n * (self.weights * function(self.nodes)).sum(1)

    def _below(self, bound: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and largest number of unknown eigenvalues below a bound, each (probes,)."""
        rest = self.n - len(self.known)
        if math.isinf(bound):
            every = np.full(len(self.diagonal), float(rest if bound > 0 else 0))
            return every, every
        # Weights have no scale: near 1, squares of whatever there is stay in range.
        exponent = max(self._exponent, np.frexp(bound)[1])
        values, vectors = np.ldexp(self._gauss[0], -exponent), self._gauss[1]
        diagonal, coupling = np.ldexp((self.diagonal, self.coupling), -exponent)
        bound, last = np.ldexp(bound, -exponent), coupling[:, -1:]
        scale = np.maximum(np.abs(values).max(axis=1), last[:, 0])
        distance = values - bound
        # A bound that is a node already needs an infinite entry.
        distance[distance == 0] = np.finfo(float).tiny
        with np.errstate(over="ignore"):
            shift = ((last * vectors[:, -1]) ** 2 / distance).sum(axis=1)
        # With this entry below its diagonal, T has the bound as an eigenvalue.
        entry = bound + np.clip(shift, -LARGEST_SHIFT * scale, LARGEST_SHIFT * scale)
        nodes, vectors = _eigh(np.c_[diagonal, entry], coupling)
        weights = rest * vectors[:, 0] ** 2
        prescribed = np.abs(nodes - bound).argmin(axis=1, keepdims=True)
        position = np.arange(nodes.shape[1])
        least = (weights * (position < prescribed)).sum(1)
        return least, least + np.take_along_axis(weights, prescribed, axis=1)[:, 0]


def _eigh(
    diagonal: NDArray[np.float64], coupling: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues (b, k) and vectors (b, k, k) of tridiagonal matrices."""
    k = diagonal.shape[1]
    matrices = np.zeros((len(diagonal), k, k))
    matrices[:, range(k), range(k)] = diagonal
    matrices[:, range(1, k), range(k - 1)] = coupling
    values, vectors = np.linalg.eigh(matrices)
    return values, vectors


def _mean(probes: NDArray[np.float64]) -> Estimate[float]:
    return Estimate(float(probes.mean()), float(_standard_errors(probes)))


def _standard_errors(probes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the means over the last axis."""
    # Scaled by a power of two, which is exact, so that squares stay in range.
    exponent = np.frexp(np.abs(probes).max(initial=0))[1]
    spread = np.ldexp(np.ldexp(probes, -exponent).std(axis=-1, ddof=1), exponent)
    return spread / math.sqrt(probes.shape[-1])


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
        matrix: A, n × n, symmetric: a matrix or an operator, as `hdlib.spectrum` takes it.
        probes: random vectors, at least 2, for a standard error.
        steps: k, nodes a probe; n − m where that is less.
        seed: of the probes, drawn on the CPU, so the same on every device.
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
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(probes, n, generator=generator, dtype=torch.float64)
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
