"""What eigenvalues say of circuits: clusters, spacings and gaps against whose vectors they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.agreement import CutAgreement, agreement
from hdlib.measures import GapTest, featureless_nulls, gap_test
from hdlib.measures.spacings import neighbours, spacing_ratio
from hdlib.store import Arrays

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ZERO = 1e-9
"""Eigenvalues below this, over the largest, are zero: a symmetry's."""
TOP = 100
LEADING = 400
"""Positive eigenvalues whose spacings are looked at: weights between circuits have smaller ones."""
DRAWS = 100
CUTS = np.unique(np.geomspace(2, 500, 40).round().astype(int))
"""Numbers of clusters at which the index of the cut is kept."""
RHOS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
"""Factors on the first circuit's loss, laid on afterwards where circuits are uncoupled."""
RHO_WORDS = ("1", "10", "10²", "10³", "10⁴", "10⁶")
"""The same, as figures and tables write them."""
RANKS = range(5, 61)
"""Ranks that are searched for a gap: those of all circuits together are among them."""


def labelled(arrays: Arrays) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues that are not zero, ascending, (n,), and what their vectors move, (n, T)."""
    values, function = arrays["eigenvalues"], arrays["function"].astype(np.float64)
    known = (np.abs(values) > ZERO * np.abs(values).max()) & np.isfinite(function).all(1)
    return values[known], function[known]


def searched_gap(values: FloatArray) -> GapTest:
    """The widest gap of a spectrum among `RANKS`; featureless spectra are searched likewise."""
    return gap_test(values, featureless_nulls(), ranks=RANKS)


def own_gap(values: FloatArray, rank: int) -> GapTest:
    """The gap below one rank, predicted or found elsewhere, against featureless spectra."""
    return gap_test(values, featureless_nulls(), ranks=[rank])


def eigenvalue_statistics(arrays: Arrays, *, uncoupled: bool) -> dict[str, NDArray]:
    """How clusters and spacings of eigenvalues go with circuits, each vector's that it moves most.

    Args:
        arrays: those of a checkpoint, as `measures.measured` has them.
        uncoupled: whether the circuits are, so that the loss of one can be multiplied afterwards.

    Returns:
        ``best`` (3,), the adjusted Rand index of the best cut of all eigenvalues, of the top 100,
        and of the logarithms of the positive ones; ``null`` (3,), its 95% quantile with permuted
        labels; ``two`` (3,), the index with two clusters; ``curve``, the index of all at `CUTS`;
        ``neighbours`` (4,), of the logarithms of the 400 largest: spacing ratio, P(different
        circuits), the same for the tightest 5%, and P(a spacing at a change is the wider);
        ``deciles`` (10,), the second by tenths of the spacings; ``own_ratios`` (T,), the spacing
        ratio of each circuit's own among them; ``sizes`` (T,), their numbers; ``purity``, the mean
        of the largest share; ``mixing``, the rank correlation of that share with the distance of
        the nearest eigenvalue; and where circuits are uncoupled
        ``scaled`` (6, 2, 2): for each factor, of λ and of log λ, the best index and that with two
        clusters.
    """
    values, function = labelled(arrays)
    whose = function.argmax(1)
    positive = values > 0
    top = slice(-TOP, None)
    found = [
        _agreement(values, whose, DRAWS),
        _agreement(values[top], whose[top], DRAWS),
        _agreement(np.log(values[positive]), whose[positive], DRAWS),
    ]
    leading = np.flatnonzero(positive)[-LEADING:]
    logs, whose_log = np.log(values[leading]), whose[leading]
    beside = neighbours(logs, whose_log)
    own = [logs[whose_log == circuit] for circuit in range(function.shape[1])]
    result = {
        "best": np.array([each.best for each in found]),
        "null": np.array([each.quantile for each in found]),
        "two": np.array([_at(each, 2) for each in found]),
        "curve": np.array([_at(found[0], int(k)) for k in CUTS]),
        "neighbours": np.array([beside.ratio, beside.different, beside.tightest, beside.wider]),
        "deciles": beside.by_decile,
        "own_ratios": np.array([_ratio(each) for each in own]),
        "sizes": np.array([len(each) for each in own]),
        "purity": np.array(function[leading].max(1).mean()),
        "mixing": np.array(_mixing(logs, function[leading])),
    }
    if uncoupled:
        result["scaled"] = np.array([_scaled(values, whose, rho) for rho in RHOS])
    return result


def _scaled(values: FloatArray, whose: IntArray, rho: float) -> list[list[float]]:
    values = np.where(whose == 0, rho, 1.0) * values
    positive = values > 0
    cases = (values, whose), (np.log(values[positive]), whose[positive])
    return [[each.best, _at(each, 2)] for each in (_agreement(*case, 1) for case in cases)]


def _agreement(values: FloatArray, labels: IntArray, draws: int) -> CutAgreement:
    """As `agreement`; of one label alone nothing can be found, and a fictitious cut says 0."""
    if len(np.unique(labels)) == 1:
        return CutAgreement(np.array([2]), np.zeros(1), np.zeros(1))
    return agreement(values, labels, draws=draws)


def _at(found: CutAgreement, clusters: int) -> float:
    """Index of the cut with so many clusters, or of the next coarser one."""
    return float(found.index[np.searchsorted(found.clusters, clusters, "right") - 1])


def _ratio(values: FloatArray) -> float:
    return spacing_ratio(np.diff(values)) if len(values) > 2 else np.nan


def _mixing(logs: FloatArray, function: FloatArray) -> float:
    """Rank correlation of an eigenvector's largest share with its nearest distance in log λ."""
    spacing = np.diff(logs)
    nearest = np.minimum(np.append(spacing, np.inf), np.append(np.inf, spacing))
    largest = function.max(axis=1)
    ranks = np.stack([largest, nearest]).argsort(axis=1).argsort(axis=1)
    return float(np.asarray(np.corrcoef(ranks))[0, 1])
