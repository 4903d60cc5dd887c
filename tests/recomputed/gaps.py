"""The test of gaps, written anew: other draws of the null, and a fit by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import GammaRegressor

from tests.recomputed.plain import Array

SETTINGS = ((1.0, 400, 0.0), (1.0, 400, 1.0), (1.0, 400, 2.0), (0.6, 200, 0.0), (1.5, 400, 0.0))
"""Exponent of the covariance's power law, samples, and spread of the logarithms of weights."""
DRAWS = 100
RANKS = np.arange(1, 101)


class Gap(NamedTuple):
    """The gap with the highest score among some ranks, and how often chance has as high a one."""

    rank: int
    score: float
    p: float


def spacings(values: Array) -> Array:
    """k log(λₖ / λₖ₊₁) for the 100 largest."""
    logs = np.log(np.sort(values)[:-102:-1])
    return RANKS * (logs[:-1] - logs[1:])


@cache
def featureless() -> Array:
    """(draws, 100) of matrices Σ wₙxₙxₙᵀ without a gap, over their mean in each setting."""
    generator, found = np.random.default_rng(2024), []
    for exponent, samples, spread in SETTINGS:
        rows = []
        for _ in range(DRAWS):
            weights = np.exp(generator.normal(0, spread, (samples, 1)))
            x = generator.standard_normal((samples, 200)) / np.arange(1, 201) ** (exponent / 2)
            rows.append(spacings(np.linalg.eigvalsh(x.T @ (weights * x))))
        found.append(np.array(rows) / np.mean(rows, 0))
    return np.concatenate(found)


def gap(values: Array, ranks: Sequence[int] | None = None) -> Gap:
    """The gap with the highest score among ranks; among the first 100 where none are named."""
    own = spacings(values[values > 0])
    at = (RANKS if ranks is None else np.asarray(ranks)) - 1
    logs = np.log(RANKS)
    design = np.stack([logs, logs**2], 1)
    fit = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-10).fit(design, own / own.mean())
    null = featureless() * fit.predict(design)
    highest = (null / null.mean(1, keepdims=True))[:, at].max(1)
    scores = (own / own.mean())[at]
    p = (1 + (highest >= scores.max()).sum()) / (1 + len(highest))
    return Gap(int(at[scores.argmax()]) + 1, float(scores.max()), float(p))
