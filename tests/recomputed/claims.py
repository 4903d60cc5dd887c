"""Which claims are recomputed, what they decided, and how near a recomputation comes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from hdlib.experiments.claim import Claim, Verdict

Test = TypeVar("Test", bound=Callable[..., None])

CHAPTERS = (
    "mnist",
    "planted",
    "grokking",
    "onset",
    "fiedler",
    "depth",
    "emergence",
    "least_action",
)
RECOMPUTED: dict[tuple[str, str], list[str]] = {}
"""(chapter, name of a claim) → tests that recompute it."""


def recomputes(chapter: str, *names: str) -> Callable[[Test], Test]:
    """Marks a test as one that recomputes these claims of a chapter."""

    def mark(test: Test) -> Test:
        for name in names:
            RECOMPUTED.setdefault((chapter, name), []).append(test.__name__)
        return test

    return mark


def claim_of(chapter: str, name: str) -> Claim[Any]:
    """A claim by its name."""
    claims = import_module(f"hdlib.experiments.{chapter}.claims").CLAIMS
    (found,) = (claim for claim in claims if claim.name == name)
    return found


def published(chapter: str) -> Any:
    """The results that a chapter's claims are decided on."""
    return import_module(f"hdlib.experiments.{chapter}.claims").published()


def decided(chapter: str, name: str) -> Verdict:
    """What the chapter says of a claim, and the numbers that it prints."""
    return claim_of(chapter, name).decide(published(chapter))


def agree(recomputed: ArrayLike, stored: object, *, within: float) -> None:
    """Raises if the largest difference, over the largest stored value, is more than ``within``.

    Args:
        recomputed: numbers.
        stored: numbers as they are published, or as a claim prints them.
        within: tolerance.
    """
    ours, theirs = np.asarray(recomputed, np.float64), np.asarray(stored, np.float64)
    assert ours.shape == theirs.shape
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error <= within, f"apart by {error:.2g} of the largest, more than {within:g}"
