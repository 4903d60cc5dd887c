"""The test of gaps, written anew: other draws of the null, and a fit by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import GammaRegressor

from tests.recomputed.plain import Array, eigenvalues

Setting = tuple[float, int, float]
"""Exponent of the covariance's power law, samples, and spread of the logarithms of weights."""
FIVE: tuple[Setting, ...] = (
    *((1.0, 400, spread) for spread in (0.0, 1.0, 2.0)),
    (0.6, 200, 0.0),
    (1.5, 400, 0.0),
)
DRAWS = 100
RANKS = np.arange(1, 101)


class Gap(NamedTuple):
    """The gap with the highest score among some ranks, and how often chance has as high a one."""

    rank: int
    score: float
    p: float
    stands_out: bool


def spacings(values: Array) -> Array:
    """k log(λₖ / λₖ₊₁) for the 100 largest, or as many as there are."""
    logs = np.log(np.sort(values)[:-102:-1])
    return np.asarray((logs[:-1] - logs[1:]) * RANKS[: len(logs) - 1], np.float64)


@cache
def featureless(setting: Setting) -> Array:
    """(draws, 100) of matrices Σ wₙxₙxₙᵀ without a gap, over their mean."""
    exponent, samples, spread = setting
    generator, found = np.random.default_rng(2024), []
    for _ in range(DRAWS):
        weights = np.exp(generator.normal(0, spread, (samples, 1)))
        x = generator.standard_normal((samples, 200)) / np.arange(1, 201) ** (exponent / 2)
        found.append(spacings(eigenvalues(x.T @ (weights * x))))
    return np.array(found) / np.mean(found, 0)


def gap(values: Array, nulls: Sequence[Setting], ranks: Sequence[int] | None = None) -> Gap:
    """The gap with the highest score among ranks; among the first 100 where none are named.

    It stands out where it is above 95 of 100 featureless spectra of each kind.
    """
    own = spacings(values[values > 0])
    at = (RANKS[: len(own)] if ranks is None else np.asarray(ranks)) - 1
    logs = np.log(RANKS[: len(own)])
    design = np.stack([logs, logs**2], 1)
    fit = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-10).fit(design, own / own.mean())
    scores = (own / own.mean())[at]
    highest = []
    for setting in nulls:
        drawn = featureless(setting)[:, : len(own)] * fit.predict(design)
        highest.append((drawn / drawn.mean(1, keepdims=True))[:, at].max(1))
    p = (1 + (np.array(highest) >= scores.max()).sum()) / (1 + DRAWS * len(nulls))
    threshold = max(np.quantile(each, 0.95) for each in highest)
    return Gap(
        int(at[scores.argmax()]) + 1, float(scores.max()), float(p), bool(scores.max() > threshold)
    )
