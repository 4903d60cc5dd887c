"""Concepts: yes-or-no questions about a pair of residues, which a network may represent or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Subject: TypeAlias = Literal["x", "sum", "difference"]
"""The residue that a question is about: x, x + y or x − y, mod p."""


class Concept(NamedTuple):
    """A question about one residue of a pair (x, y).

    Attributes:
        subject: residue that it is about.
        holds: (residues 0 … p − 1, modulus p) ↦ answers.
        rare: whether "yes" is so rare that a constant "no" is nearly always right.
    """

    subject: Subject
    holds: Callable[[IntArray, int], BoolArray]
    rare: bool = False

    def labels(
        self, x: IntArray, y: IntArray, p: int, *, relabelled: IntArray | None = None
    ) -> BoolArray:
        """Answers for n pairs.

        Args:
            x: (n,), 0 … p − 1.
            y: (n,), 0 … p − 1.
            p: modulus.
            relabelled: a permutation of the residues that is applied first: the control task of
                Hewitt & Liang (2019), a question about the same residue, with as many answers "yes"
                and without a meaning.
        """
        residues = {"x": x, "sum": (x + y) % p, "difference": (x - y) % p}[self.subject]
        return self.holds(residues if relabelled is None else relabelled[residues], p)


def is_even(q: IntArray, p: int) -> BoolArray:
    """Whether a residue is even as an integer, 0 … p − 1."""
    return q % 2 == 0


def is_square(q: IntArray, p: int) -> BoolArray:
    """Whether a residue is a nonzero square mod p: its Legendre symbol is 1."""
    squares = np.arange(1, p) ** 2 % p
    return np.isin(q, squares)


def is_small(q: IntArray, p: int) -> BoolArray:
    """Whether a residue is below p/2."""
    return 2 * q < p


def is_zero(q: IntArray, p: int) -> BoolArray:
    """Whether a residue is 0."""
    return q == 0


CONCEPTS: dict[str, Concept] = {
    "parity of the sum": Concept("sum", is_even),
    "Legendre symbol of the sum": Concept("sum", is_square),
    "parity of x": Concept("x", is_even),
    "x below p/2": Concept("x", is_small),
    "x equals y": Concept("difference", is_zero, rare=True),
}
"""Concepts by name."""
