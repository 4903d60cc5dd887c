"""How claims say steps, and whether more networks are there than by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import Array, PublishedLeastAction, generalised_steps


def each_seed(results: PublishedLeastAction, arm: Arm) -> str:
    """The step at which each network of an arm generalised, in the order of the seeds."""
    return each(generalised_steps(results.of(arm)))


def each(steps: Array) -> str:
    """Steps, or that they are not reached where one is infinite."""
    return ", ".join(f"{s:,.0f}" if np.isfinite(s) else "not reached" for s in steps)


def within(results: PublishedLeastAction, arm: Arm, steps: int) -> int:
    """How many networks of an arm generalised by a step, that others were followed to."""
    return int((generalised_steps(results.of(arm)) <= steps).sum())


def each_arm(results: PublishedLeastAction, arms: Sequence[Arm]) -> str:
    """The same of several arms, by name."""
    return "; ".join(f"{arm.name}: {each_seed(results, arm)}" for arm in arms)


def count_of(found: NDArray[np.bool_]) -> str:
    """How many of some networks do."""
    return f"{found.sum()} of {len(found)}"


def more_by_chance(some: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    """Probability that at least as many of some networks do, by Fisher's exact test, one-sided."""
    from scipy.stats import fisher_exact  # here, as it takes a moment

    table = [[found.sum(), (~found).sum()] for found in (some, others)]
    _, probability = map(float, fisher_exact(table, alternative="greater"))
    return probability
