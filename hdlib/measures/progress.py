"""How far the modular-addition circuit has come: losses with it alone and without it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from hdlib.measures.fourier import fourier_basis, modulus, sum_profile, wave_rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def restricted_logits(logits: FloatArray, frequencies: IntArray) -> FloatArray:
    """Logits as functions of (a, b), projected on the constant and the waves of a + b.

    Of the two-dimensional Fourier transform over (a, b) the constant is kept and, for each
    frequency k, the span of cos(2πk(a + b)/p) and sin(2πk(a + b)/p) (Nanda et al. 2023, section
    5.1). All of these are functions of a + b, so it is enough to project the mean logits of each
    sum.

    Args:
        logits: (p, p, C) of all pairs (a, b), C ≥ p.
        frequencies: different, in 1 … (p − 1)/2.

    Returns:
        (p, p, C) float64.

    Raises:
        ValueError: if an argument is not what is allowed.
    """
    return _over_pairs(_restricted(sum_profile(logits), frequencies))


def excluded_logits(logits: FloatArray, frequencies: IntArray) -> FloatArray:
    """Logits less their projection on the waves cos and sin of 2πk(a + b)/p; the constant stays.

    Arguments, result and errors are those of `restricted_logits` (Nanda et al. 2023, section 5.1).
    """
    return np.asarray(logits, np.float64) - _over_pairs(_waves(sum_profile(logits), frequencies))


class Progress(NamedTuple):
    """Nanda et al.'s progress measures at one checkpoint (2023, section 5.1), in nats.

    Attributes:
        restricted: loss over all pairs of logits with the constant and key frequencies alone.
        excluded: loss over the training pairs of logits without the key frequencies.
        restricted_by_frequency: (n,), `restricted` with each frequency as the only one.
        excluded_by_frequency: (n,), `excluded` without each frequency alone.
    """

    restricted: float
    excluded: float
    restricted_by_frequency: FloatArray
    excluded_by_frequency: FloatArray


def progress(logits: FloatArray, frequencies: IntArray, *, a: IntArray, b: IntArray) -> Progress:
    """Restricted and excluded cross-entropy on (a + b) mod p, together and frequency by frequency.

    Over a run the frequencies are those of its end: the question is when *that* circuit came.

    Args:
        logits: (p, p, C) of all pairs (a, b), C ≥ p.
        frequencies: (n,), different, in 1 … (p − 1)/2.
        a: first numbers of the training pairs, (N,).
        b: second numbers, (N,).

    Raises:
        ValueError: if an argument is not what is allowed, or there is no training pair.
    """
    p = modulus(logits)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise ValueError(f"training pairs need equally many a and b, got {a.shape} and {b.shape}")
    profile = sum_profile(logits)
    training, sums = np.asarray(logits, np.float64)[a, b], (a + b) % p

    def restricted(kept: IntArray) -> float:
        # A function of the sum, and each sum has p of the pairs: its mean over all pairs.
        return _cross_entropy(_restricted(profile, kept), np.arange(p))

    def excluded(removed: IntArray) -> float:
        return _cross_entropy(training - _waves(profile, removed)[sums], sums)

    every = np.asarray(frequencies, np.int64)
    return Progress(
        restricted=restricted(every),
        excluded=excluded(every),
        restricted_by_frequency=np.array([restricted(k) for k in every[:, None]]),
        excluded_by_frequency=np.array([excluded(k) for k in every[:, None]]),
    )


def _waves(profile: FloatArray, frequencies: IntArray) -> FloatArray:
    basis = fourier_basis(len(profile))[wave_rows(frequencies, len(profile))]
    return basis.T @ (basis @ profile)


def _restricted(profile: FloatArray, frequencies: IntArray) -> FloatArray:
    return profile.mean(0) + _waves(profile, frequencies)


def _over_pairs(profile: FloatArray) -> FloatArray:
    a = np.arange(len(profile))
    return profile[(a[:, None] + a) % len(profile)]


def _cross_entropy(logits: FloatArray, targets: IntArray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())
