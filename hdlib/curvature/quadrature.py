"""The spectral density of an operator as quadratures, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from hdlib.saving import Saved

LARGEST_SHIFT = 1e6
"""Bound on the last entry of a Radau matrix over the others; it is infinite where the bound to
prescribe is a Gauss node already, and would drown the other entries' digits."""

Function = Callable[[NDArray[np.float64]], NDArray[np.floating]]
Value = TypeVar("Value", float, NDArray[np.float64])


class Estimate(NamedTuple, Generic[Value]):
    """A mean over random probes.

    Attributes:
        value: mean over the probes.
        standard_error: standard error of the mean, from the spread of the probes. With few
            probes the error over it follows Student's t with probes − 1 degrees of freedom.
    """

    value: Value
    standard_error: Value


class Count(NamedTuple):
    """An estimated number of eigenvalues, with both of its errors.

    Attributes:
        value: middle of ``lowest`` and ``highest``.
        standard_error: standard error of the value, from the spread of the probes (`Estimate`).
        lowest: least number that the quadratures allow, mean over the probes; more steps raise it.
        highest: largest number that they allow, mean over the probes; more steps lower it.
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
        known: (m,) float64 eigenvalues that count exactly, 1/n each, ascending.
        diagonal: (probes, k) float64 diagonals of the tridiagonal Lanczos matrices T.
        coupling: (probes, k) float64 off-diagonals of T, and last the norm of what is left after k
            steps; 0 from where a run was exhausted.
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
            grid: points t, (g,).
            width: standard deviation of the Gaussian, in units of the eigenvalues.

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
            row[:] = self._sums(partial(_gaussian, point, width)) / self.n
        return Estimate(probes.mean(axis=1), _standard_errors(probes))

    def trace(self) -> Estimate[float]:
        """The trace Σλ; `hdlib.curvature.trace` needs fewer products where only it is wanted."""
        return self.spectral_sum(lambda values: values)

    def spectral_sum(self, function: Function) -> Estimate[float]:
        """The trace of a function of the operator, Σ f(λ) (Ubaru, Chen & Saad 2017).

        Args:
            function: f, of arrays of any shape, entry by entry.
        """
        return _mean(self._sums(function))

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


def _gaussian(mean: float, width: float, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """N(values; mean, width²)."""
    return np.exp(-(((values - mean) / width) ** 2) / 2) / math.sqrt(2 * math.pi) / width


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
