"""The learned function of two residues as waves in two dimensions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.tasks.modular import is_prime

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def pair_power(logits: FloatArray) -> FloatArray:
    """Share of the logits' power in each two-dimensional frequency.

    Softmax does not see the mean of a pair's logits over the classes c, and the mean of a class
    over the pairs is no function of the pair: both are removed. With

        F[u, v, c] = Σ_{a, b} L[a, b, c] exp(−2πi (ua + vb)/n),

    the power of (u, v) is Σ_c |F[u, v, c]|², whatever the classes are called. A pair (u, v) and its
    conjugate (−u, −v) have the same.

    Args:
        logits: (n, n, C) of all pairs (a, b): for residues mod p, n = p; classes only, without a
            logit for "=".

    Returns:
        (n, n) float64 with sum 1, u and v from 0 to n − 1, 0 at (0, 0).

    Raises:
        ValueError: if the shape is another, or the logits are the same for all pairs but for what
            softmax does not see.
    """
    _check_shape(logits)
    centred = np.asarray(logits, np.float64)
    centred = centred - centred.mean(2, keepdims=True)
    centred = centred - centred.mean((0, 1))
    power = (np.abs(np.fft.fft2(centred, axes=(0, 1))) ** 2).sum(2)
    power[0, 0] = 0
    if not (total := power.sum()):
        raise ValueError("logits that are the same for all pairs have no power to share out")
    return power / total


class FrequencyShares(NamedTuple):
    """What a function of two residues depends on, as shares of its power in [0, 1].

    Where n is even, frequency n/2 is its own conjugate and (n/2, n/2) is a function of the sum and
    of the difference alike, (−1)^(a + b); it counts for both, so that the shares add up to that
    much more than 1. For odd n they add up to 1.

    Attributes:
        sum: share of u = v ≠ 0: what depends on a + b mod n alone.
        difference: share of u = −v mod n, u ≠ 0: what depends on a − b mod n alone.
        single: share of u = 0 or v = 0: functions of a alone plus functions of b alone.
        other: share of all other frequencies.
    """

    sum: float
    difference: float
    single: float
    other: float


def frequency_shares(power: FloatArray) -> FrequencyShares:
    """What the logits depend on: the sum, the difference, one of the numbers, or neither.

    Each function of a and b mod n is the constant, plus a function of each of these, plus the rest,
    all orthogonal to each other but for (−1)^(a + b) where n is even (`FrequencyShares`).

    Args:
        power: (n, n) with sum 1, as of `pair_power`; of `multiplicative_grid` for the product and
            the quotient in place of sum and difference.

    Raises:
        ValueError: if the shape is another.
    """
    if power.ndim != 2 or power.shape[0] != power.shape[1]:
        raise ValueError(f"power of shape {power.shape}: must be (n, n)")
    n = len(power)
    u, v = np.indices(power.shape)
    single = (u == 0) | (v == 0)
    of_sum, of_difference = (u == v) & ~single, ((u + v) % n == 0) & ~single
    masks = of_sum, of_difference, single, ~(of_sum | of_difference | single)
    return FrequencyShares(*(float(power[mask].sum()) for mask in masks))


def multiplicative_grid(logits: FloatArray) -> FloatArray:
    """Logits of the nonzero residues, in the order of their discrete logarithms.

    Entry (i, j) is that of the pair (gⁱ, gʲ) mod p, g the least primitive root of p, i and j from 0
    to p − 2. The product ab = g^(i + j) depends on i + j mod p − 1 alone, as a sum depends on
    a + b, and the quotient a/b on i − j. Another root g permutes the frequencies, and leaves what
    depends on the product as it is.

    Args:
        logits: (p, p, C) of all pairs (a, b), p a prime.

    Returns:
        (p − 1, p − 1, C), of the given dtype.

    Raises:
        ValueError: if the shape is another, or p is no prime.
    """
    _check_shape(logits)
    powers = primitive_powers(len(logits))
    return logits[powers[:, None], powers]


def primitive_powers(p: int) -> IntArray:
    """The powers 1, g, g², …, g^(p − 2) mod p of the least primitive root g: 1 … p − 1 in an order.

    Raises:
        ValueError: if p is no prime.
    """
    if not is_prime(p):
        raise ValueError(f"p={p}: must be a prime")
    orbits = (_powers(g, p) for g in range(1, p))
    return next(np.array(orbit, np.int64) for orbit in orbits if len(orbit) == p - 1)


def _powers(g: int, p: int) -> list[int]:
    """1, g, g² … mod p up to the last one before 1 comes again."""
    powers = [1]
    while (power := powers[-1] * g % p) != 1:
        powers.append(power)
    return powers


def _check_shape(logits: FloatArray) -> None:
    shape = np.shape(logits)
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] < 2:
        raise ValueError(f"logits of shape {shape}: must be (n, n, C), n ≥ 2")
