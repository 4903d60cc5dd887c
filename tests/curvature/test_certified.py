"""From Lanczos pairs to a dendrogram: the bulk is no gap, and nothing uncertain slips in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdlib import ConvergenceError, Trajectory, dendrogram, figures, spectrum

from .operators import Operator, planted

N = 120


def problem(seed: int):
    """Outliers at both ends, and a bulk that is one crowd between them."""
    rng = np.random.default_rng(seed)
    low, high = rng.integers(1, 5), rng.integers(1, 7)
    outliers = np.r_[
        -1 - rng.uniform(0.05, 3, low).cumsum(), 1 + rng.uniform(0.05, 9, high).cumsum()
    ]
    bulk = rng.uniform(-1, 1, N - low - high)
    return planted(np.r_[outliers, bulk], seed), int(low), int(high)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_gaps_are_those_of_the_whole_spectrum(seed):
    matrix, low, high = problem(seed)
    whole = dendrogram(spectrum(matrix))
    found = spectrum(Operator(matrix), top=high + 3, bottom=low + 3, tol=1e-11)
    tree = dendrogram(found)
    assert tree.n == whole.n == N
    below, above = found.eigenvalues[low + 2], found.eigenvalues[low + 3]
    for gap in tree.gaps(N):
        # None reaches across the bulk, and each is one of the whole spectrum, at its rank.
        assert gap.upper <= below + 1e-9 or gap.lower >= above - 1e-9
        assert gap.size == pytest.approx(whole.heights[N - 1 - gap.rank], abs=1e-9)
    np.testing.assert_allclose(tree.heights[: low + 2], whole.heights[: low + 2], atol=1e-9)
    np.testing.assert_allclose(tree.heights[-high - 2 :], whole.heights[-high - 2 :], atol=1e-9)
    # From the first resolution on that merges the bulk, clusters are the same.
    eps = whole.heights[low : N - 1 - high].max() * 1.01
    assert tree.n_clusters(eps) == whole.n_clusters(eps)
    np.testing.assert_array_equal(tree.sizes(eps), whole.sizes(eps))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(40, 64))
def test_uncertified_pairs_are_refused_or_part_of_the_bulk(seed, products):
    matrix, low, high = problem(seed)
    ends: dict[str, Any] = {"top": high + 8, "bottom": low + 8}
    found = spectrum(Operator(matrix), **ends, tol=1e-8, max_products=products, space=72, mark=True)
    failed = int((~found.certified).sum())
    if not failed:
        assert dendrogram(found).unresolved == N - sum(ends.values())
        return
    worst = found.residuals.max()
    words = (
        rf"{failed} of {sum(ends.values())} eigenpairs are not certified: .* residual {worst:.2e}"
    )
    alone = Trajectory(np.array([0]), (found,))
    for refused in (
        lambda: dendrogram(found),
        lambda: figures.dendrogram(found),
        lambda: figures.gap_barcode(alone),
    ):
        with pytest.raises(ConvergenceError, match=words + r".*certified_ends\(\)"):
            refused()
    sure = found.certified_ends()
    if not len(sure.eigenvalues):
        with pytest.raises(ValueError, match=f"no eigenvalue of {N} is known and certified"):
            dendrogram(sure)
        return
    tree, values = dendrogram(sure), np.linalg.eigvalsh(matrix)
    expected = np.r_[values[: sure.lowest], values[N - sure.highest :]]
    np.testing.assert_allclose(tree.eigenvalues, expected, atol=1e-7 * np.abs(values).max())
    assert tree.sizes(0).sum() == N
    for gap in tree.gaps(N):
        assert gap.rank in {*range(sure.highest), *range(N - sure.lowest + 1, N)}


def test_all_of_a_spectrum_by_lanczos():
    matrix, *_ = problem(0)
    found = spectrum(Operator(matrix), top=N - 7, bottom=7, tol=1e-11)
    np.testing.assert_allclose(
        dendrogram(found).heights, dendrogram(spectrum(matrix)).heights, atol=1e-9
    )
    # What it leaves out is unresolved, though all were asked for.
    residuals = found.residuals.copy()
    residuals[50] = 1.0
    sure = replace(found, residuals=residuals).certified_ends()
    assert (sure.lowest, sure.highest, sure.unresolved) == (7, N - 51, 44)
    assert dendrogram(sure).represented.sum() == N


def test_an_array_is_all_of_a_spectrum():
    tree = dendrogram(np.array([3, 1, 2]))
    assert (tree.n, tree.unresolved) == (3, 0)
    with pytest.raises(ValueError, match="eigenvalues must be real, got complex128"):
        dendrogram(np.array([1.0, 2.0 + 0j]))
    assert repr(tree) == "Dendrogram of 3 eigenvalues, widest gap 1"
    partial = dendrogram(spectrum(Operator(problem(1)[0]), top=3))
    assert repr(partial).startswith("Dendrogram of 120 eigenvalues, 3 of them known, widest gap ")
