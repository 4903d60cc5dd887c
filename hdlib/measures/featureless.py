"""The null of the outliers: spectra whose eigenvalues repel and whose tail has no gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from hdlib.measures.outliers import SEARCH, FloatArray, tail_spacings

DIMENSION = 2 * SEARCH
LEVEL = 0.95
SCORING_STEPS = 50


class GapTest(NamedTuple):
    """The gap with the highest score among some ranks, and what featureless spectra have there.

    Attributes:
        rank: how many eigenvalues lie above the gap.
        score: its spacing over the mean of all, as in `tail_scores`.
        threshold: the score that the highest among these ranks stays below in 95% of featureless
            spectra: the least and the greatest over the nulls.
        p: in what part of the featureless spectra, of all nulls together, the highest score among
            these ranks is as high: (1 + count) / (1 + draws).
    """

    rank: int
    score: float
    threshold: tuple[float, float]
    p: float

    @property
    def stands_out(self) -> bool:
        """Whether the score is above the threshold whichever null is taken."""
        return self.score > self.threshold[1]


class Featureless(NamedTuple):
    """A setting of simulated spectra without a gap.

    Attributes:
        tail_index: α, positive.
        samples: N.
        spread: standard deviation of the logarithm of the samples' weights.
    """

    tail_index: float = 1.0
    samples: int = 400
    spread: float = 0.0


SETTINGS = (
    Featureless(),
    Featureless(spread=1.0),
    Featureless(spread=2.0),
    Featureless(tail_index=0.6, samples=200),
    Featureless(tail_index=1.5),
)
"""Settings that a gap has to stand out from: it hangs on what was assumed how high a score is."""


@cache
def featureless_nulls() -> tuple[FloatArray, ...]:
    """Spacings of featureless spectra in each of `SETTINGS`, drawn apart; in ten seconds."""
    return tuple(
        featureless_spacings(**setting._asdict(), seed=seed)
        for seed, setting in enumerate(SETTINGS)
    )


def featureless_spacings(
    *,
    tail_index: float = 1.0,
    samples: int = 400,
    spread: float = 0.0,
    draws: int = 1_000,
    seed: int = 0,
) -> FloatArray:
    """Spacings of the top eigenvalues of random matrices without a gap, each over its rank's mean.

    A matrix is Σₙ wₙ xₙxₙᵀ / N, as a Gauss–Newton matrix is, over N independent Gaussian xₙ whose
    covariance has the eigenvalues j^(−α): a power law without a break. So its own eigenvalues repel
    each other as those of a Wishart matrix, and are featureless otherwise. The weights wₙ are
    log-normal. The mean of its spacings k log(λₖ / λₖ₊₁) changes with k as α, N and the weights
    have it; what is returned is over this mean, and `featureless_scores` puts in that of a given
    spectrum.

    Args:
        tail_index: α, positive.
        samples: N.
        spread: standard deviation of log wₙ; 0 for equal weights.
        draws: how many matrices, S.
        seed: of the draws; another for each setting where `gap_test` takes several together.

    Returns:
        (S, 100) float64, mean 1 in each column.

    Raises:
        ValueError: if ``samples`` are fewer than the 200 dimensions.
    """
    if samples < DIMENSION:
        raise ValueError(f"samples={samples}: at least {DIMENSION} are needed")
    generator = np.random.default_rng(seed)
    scale = np.arange(1, DIMENSION + 1.0) ** (-tail_index / 2)
    spacings = np.empty((draws, SEARCH))
    for row in spacings:
        weights = np.exp(spread / 2 * generator.standard_normal((samples, 1)))
        rows = weights * generator.standard_normal((samples, DIMENSION)) * scale
        row[:] = tail_spacings(np.linalg.eigvalsh(rows.T @ rows).astype(np.float64))
    return spacings / spacings.mean(0)


def smooth_tail(spacings: FloatArray) -> FloatArray:
    """Smooth part of `tail_spacings`: the exponential of a parabola in log k, fitted to them.

    It is the maximum-likelihood fit where spacings vary in proportion to their mean (a gamma
    regression with logarithmic link), found by Fisher scoring. Three parameters follow a tail that
    bends, and hardly one gap: a wide gap raises the fit around it a little, which makes the null
    that is made from it conservative.

    Args:
        spacings: (K,), K ≥ 3, not negative and not all zero.

    Returns:
        (K,) float64, positive.
    """
    log_rank = np.log(np.arange(1, len(spacings) + 1))
    design = np.vander(log_rank, 3)
    fit = np.array([0.0, 0.0, np.log(spacings.mean())])
    for _ in range(SCORING_STEPS):
        excess = spacings / np.exp(design @ fit) - 1
        fit += np.linalg.lstsq(design, excess, rcond=None)[0]
    return np.exp(design @ fit)


def featureless_scores(null: FloatArray, eigenvalues: FloatArray) -> FloatArray:
    """Scores of featureless spectra that have the tail of a given spectrum.

    Args:
        null: (S, K) from `featureless_spacings`.
        eigenvalues: (n,), as for `tail_spacings`.

    Returns:
        (S, K) float64, each row as from `tail_scores`; fewer columns where fewer eigenvalues are
        positive.
    """
    tail = smooth_tail(tail_spacings(eigenvalues))
    spacings = null[:, : len(tail)] * tail
    return spacings / spacings.mean(1, keepdims=True)


def gap_test(
    eigenvalues: FloatArray, nulls: Iterable[FloatArray], *, ranks: Sequence[int] | None = None
) -> GapTest:
    """Whether the widest gap among some ranks stands out from featureless spectra.

    A rank that was predicted is tested alone. A search pays for itself, as the featureless spectra
    are searched in the same way.

    Args:
        eigenvalues: (n,), as for `tail_spacings`.
        nulls: from `featureless_spacings`, one or several.
        ranks: which to look at, from 1; the top 100 by default.

    Raises:
        ValueError: if one of the ranks is not positive or has no gap.
    """
    spacings = tail_spacings(eigenvalues)
    looked_at = np.arange(len(spacings)) if ranks is None else np.asarray(ranks) - 1
    if len(looked_at) == 0 or looked_at.min() < 0 or looked_at.max() >= len(spacings):
        raise ValueError(f"ranks must be from 1 to {len(spacings)}, got {ranks}")
    scores = (spacings / spacings.mean())[looked_at]
    highest = [featureless_scores(null, eigenvalues)[:, looked_at].max(1) for null in nulls]
    drawn = np.concatenate(highest)
    limits = [float(np.quantile(maxima, LEVEL)) for maxima in highest]
    return GapTest(
        rank=int(looked_at[scores.argmax()]) + 1,
        score=float(scores.max()),
        threshold=(min(limits), max(limits)),
        p=float((1 + (drawn >= scores.max()).sum()) / (1 + len(drawn))),
    )


def quantile_error(maxima: FloatArray) -> float:
    """Monte-Carlo standard error of the 95% threshold of simulated scores (S,), by bootstrap."""
    drawn = np.random.default_rng(0).choice(maxima, (200, len(maxima)))
    return float(np.quantile(drawn, LEVEL, axis=1).std())
