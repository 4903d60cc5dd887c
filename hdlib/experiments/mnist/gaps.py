"""The gaps at the top of the MNIST chapter's spectra, tested against featureless ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.measures import GapTest, featureless_nulls, featureless_scores, gap_test
from hdlib.measures.featureless import LEVEL

Array = NDArray[np.float64]

CLASSES = 10
PREDICTED = CLASSES - 1
"""Independent directions in the output space of a softmax over ten classes."""
SECOND_LEVEL = range(PREDICTED**2, CLASSES**2 + 1)
"""Where a level from pairs of K classes may end: (K − 1)², K (K − 1) and K² are among these."""

SMALL_P = 0.05
"""A p below it is called small."""
FEATURELESS = "simulated spectra without a gap"
"""What gaps are compared with, in words."""


def least_p() -> float:
    """The smallest p that the draws of all nulls together can show."""
    return 1 / (1 + sum(len(null) for null in featureless_nulls()))


def searched(eigenvalues: Array) -> GapTest:
    """The gap with the highest score among the top 100."""
    return gap_test(eigenvalues, featureless_nulls())


def predicted(eigenvalues: Array, rank: int = PREDICTED) -> GapTest:
    """The gap below a rank that was predicted, tested alone."""
    return gap_test(eigenvalues, featureless_nulls(), ranks=[rank])


def second_level(eigenvalues: Array) -> GapTest:
    """The gap with the highest score where a second level may end."""
    return gap_test(eigenvalues, featureless_nulls(), ranks=SECOND_LEVEL)


def straight_threshold(null: Array) -> float:
    """The highest of the scores that 95% of featureless spectra with a straight tail stay below."""
    return float(np.quantile((null / null.mean(1, keepdims=True)).max(1), LEVEL))


def bent_threshold(null: Array, eigenvalues: Array) -> float:
    """The same with the tail of a given spectrum."""
    return float(np.quantile(featureless_scores(null, eigenvalues).max(1), LEVEL))
