"""Featureless spectra that the grokking chapter's gaps are judged against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.measures import GapTest, featureless_nulls, gap_test, tail_spacings

Array = NDArray[np.float64]

LAST = 30
"""The last rank that is searched for a gap beyond the heads."""


def widest_by_chance(count: int) -> Array:
    """How often the widest of the first gaps of a featureless spectrum is the one below each rank.

    Args:
        count: number of gaps that are looked at, K.

    Returns:
        (settings, K) float64; rows sum to 1.
    """
    ranks = np.arange(1, count + 1)
    widest = [(spacings[:, :count] / ranks).argmax(1) for spacings in featureless_nulls()]
    return np.stack([np.bincount(at, minlength=count) / len(at) for at in widest])


def gap_beyond(eigenvalues: Array, heads: int) -> GapTest:
    """The gap with the highest score below the ranks of the heads, down to rank 30.

    Args:
        eigenvalues: (m,), highest eigenvalues of a spectrum.
        heads: number of ranks that are left out.
    """
    last = min(LAST, len(tail_spacings(eigenvalues)))
    return gap_test(eigenvalues, featureless_nulls(), ranks=range(heads + 1, last + 1))
