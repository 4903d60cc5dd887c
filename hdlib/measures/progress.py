"""How far the modular-addition circuit has come: losses with it alone and without it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import log_softmax

from hdlib.measures.fourier import fourier_basis, modulus, sum_profile, wave_rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MEDIAN_OF = 5
"""Checkpoints in a running median: single spikes of the optimiser are not seen."""
RISE = 3.0
"""Factor by which the excluded loss must have risen at the end."""
FLAT = 0.5
"""A plateau of the test loss falls at most at this part of the rate before it."""


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

    Arguments, result and errors are those of `restricted_logits` (Nanda et al. 2023).
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

    def excluded(removed: IntArray) -> float:
        return _cross_entropy(training - _waves(profile, removed)[sums], sums)

    every = np.asarray(frequencies, np.int64)
    return Progress(
        restricted=_restricted_loss(profile, every),
        excluded=excluded(every),
        restricted_by_frequency=_restricted_losses(profile, every),
        excluded_by_frequency=np.array([excluded(k) for k in every[:, None]]),
    )


def restricted_by_frequency(logits: FloatArray, frequencies: IntArray) -> FloatArray:
    """That of `progress` alone, (n,): much cheaper, for it needs the mean logits of each sum only.

    Args:
        logits: (p, p, C) of all pairs (a, b), C ≥ p.
        frequencies: (n,), different, in 1 … (p − 1)/2.

    Raises:
        ValueError: if an argument is not what is allowed.
    """
    return _restricted_losses(sum_profile(logits), np.asarray(frequencies, np.int64))


class Phases(NamedTuple):
    """Where the phases of grokking end, as training steps; None for what did not end.

    Attributes:
        memorised: end of memorisation, beginning of circuit formation.
        formed: end of circuit formation, beginning of clean-up.
        cleaned: end of clean-up.
    """

    memorised: int | None
    formed: int | None
    cleaned: int | None


def phases(
    steps: IntArray,
    *,
    train_loss: FloatArray,
    test_loss: FloatArray,
    excluded_loss: FloatArray,
    chance: float,
) -> Phases:
    """Find memorisation, circuit formation and clean-up (Nanda et al. 2023).

    All curves are smoothed by a running median of five checkpoints. Then

    - memorisation ends at the minimum of the excluded loss, if at the last checkpoint both this
      loss and its ratio to the training loss are at least 3 times what they were there: what the
      circuit does for the training pairs has replaced what was memorised, and it is not only that
      the training loss has risen;
    - circuit formation ends at the first checkpoint after that whose test loss is below ``chance``;
    - clean-up ends at the knee of the test loss: where its logarithm is farthest below the straight
      line, over the steps, from the end of circuit formation to the last checkpoint, if its mean
      rate of fall afterwards is at most half of that before.

    Each needs the one before. In Nanda et al. they are at about 1.4k, 9.4k and 14k steps.

    Args:
        steps: (n,), of the checkpoints, ascending.
        train_loss: (n,), positive.
        test_loss: (n,), positive.
        excluded_loss: (n,), positive, of the key frequencies of the last checkpoint.
        chance: loss of uniform guessing, log p.

    Raises:
        ValueError: if lengths differ, there is no checkpoint, steps do not ascend, or a loss is not
            positive and finite.
    """
    steps = np.asarray(steps)
    curves = {"train_loss": train_loss, "test_loss": test_loss, "excluded_loss": excluded_loss}
    if steps.ndim != 1 or not steps.size or (np.diff(steps) <= 0).any():
        raise ValueError(f"steps {steps.tolist()}: must be at least one, ascending")
    for name, curve in curves.items():
        if np.shape(curve) != steps.shape:
            raise ValueError(f"{name} of shape {np.shape(curve)}: must be {steps.shape} as steps")
        if not (np.isfinite(curve).all() and np.min(curve) > 0):
            raise ValueError(f"{name}: must be positive and finite at every checkpoint")
    train, test, excluded = (
        np.log(median_filter(np.asarray(curve, np.float64), MEDIAN_OF, mode="nearest"))
        for curve in curves.values()
    )

    first = int(excluded.argmin())
    rise = min(excluded[-1] - excluded[first], (excluded - train)[-1] - (excluded - train)[first])
    if rise < np.log(RISE):
        return Phases(None, None, None)
    memorised = int(steps[first])
    below = np.flatnonzero(test[first:] < np.log(chance))
    if not below.size:
        return Phases(memorised, None, None)
    start = first + int(below[0])
    knee = _knee(steps[start:], test[start:])
    return Phases(memorised, int(steps[start]), None if knee is None else int(steps[start + knee]))


def _knee(x: IntArray, y: FloatArray) -> int | None:
    """Index where y is farthest below its chord, if it falls much more slowly from there on."""
    if len(x) < 3:
        return None
    chord = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
    knee = int((y - chord).argmin())
    if knee in (0, len(x) - 1):
        return None
    before = (y[0] - y[knee]) / (x[knee] - x[0])
    after = (y[knee] - y[-1]) / (x[-1] - x[knee])
    return knee if after <= FLAT * before else None


def _waves(profile: FloatArray, frequencies: IntArray) -> FloatArray:
    basis = fourier_basis(len(profile))[wave_rows(frequencies, len(profile))]
    return basis.T @ (basis @ profile)


def _restricted(profile: FloatArray, frequencies: IntArray) -> FloatArray:
    return profile.mean(0) + _waves(profile, frequencies)


def _restricted_loss(profile: FloatArray, frequencies: IntArray) -> float:
    # A function of the sum, and each sum has p of the pairs: its mean over all pairs.
    return _cross_entropy(_restricted(profile, frequencies), np.arange(len(profile)))


def _restricted_losses(profile: FloatArray, frequencies: IntArray) -> FloatArray:
    return np.array([_restricted_loss(profile, k) for k in frequencies[:, None]])


def _over_pairs(profile: FloatArray) -> FloatArray:
    a = np.arange(len(profile))
    return profile[(a[:, None] + a) % len(profile)]


def _cross_entropy(logits: FloatArray, targets: IntArray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())
