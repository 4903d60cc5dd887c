"""When numbers of ours bear a reported one out; each rule says in words what it allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """A test of our numbers.

    Attributes:
        words: what it asks; "it" is the reported number.
        holds: our numbers, (n,) ↦ whether they bear the reported one out.
    """

    words: str
    holds: Callable[[Array], bool]


def around(value: float, *, factor: float) -> Rule:
    """That the range of ours, widened by a factor on either side, has a positive value in it."""

    def holds(ours: Array) -> bool:
        return bool(ours.min() / factor <= value <= ours.max() * factor)

    return Rule(f"it lies among ours, give or take a factor of {factor:g}", holds)


def about(value: float, *, margin: float = 0.0) -> Rule:
    """That the range of ours, widened by a margin on either side, has a value in it."""

    def holds(ours: Array) -> bool:
        return bool(ours.min() - margin <= value <= ours.max() + margin)

    words = "it lies among ours"
    return Rule(f"{words}, give or take {margin:g}" if margin else words, holds)


def mean_near(value: float, *, margin: float) -> Rule:
    """That the mean of ours is within a margin of a value."""
    return Rule(
        f"our mean is within {margin:g} of it",
        lambda ours: bool(abs(ours.mean() - value) <= margin),
    )


def between(low: float, high: float) -> Rule:
    """That each of ours is from one number to another."""
    return Rule(
        f"each of ours is from {low:g} to {high:g}",
        lambda ours: bool(((low <= ours) & (ours <= high)).all()),
    )


def at_least(level: float, form: str = "g") -> Rule:
    """That each of ours is a number or more."""
    return Rule(
        f"each of ours is at least {level:{form}}", lambda ours: bool((ours >= level).all())
    )


def at_most(level: float, form: str = "g") -> Rule:
    """That each of ours is a number or less."""
    return Rule(f"each of ours is at most {level:{form}}", lambda ours: bool((ours <= level).all()))
