"""Spectra known in part against the whole spectra that they are parts of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage
from scipy.spatial.distance import squareform

from hdlib.clustering.dendrogram import Unresolved, dendrogram

# Quarters outside of (−1, 1): every difference is exact, and the bulk lies between.
lowest = st.lists(st.integers(-40, -4).map(lambda i: i / 4), max_size=12)
highest = st.lists(st.integers(4, 40).map(lambda i: i / 4), max_size=12)
ends = st.tuples(lowest, highest).filter(lambda pair: pair[0] + pair[1])
resolutions = st.integers(1, 60).map(lambda i: i / 8)
FINE = 1 / 16


def parts(pair):
    """The known eigenvalues, where the others are, and all of them: gaps of the bulk are ≤ FINE."""
    below, above = np.sort(pair[0]), np.sort(pair[1])
    low = below[-1] if len(below) else above[0] - 1
    high = above[0] if len(above) else below[-1] + 1
    bulk = np.linspace(low, high, int((high - low) / FINE) + 2)[1:-1]
    known = np.concatenate((below, above))
    return known, Unresolved(len(below), len(bulk)), np.concatenate((known, bulk))


@given(ends, resolutions)
def test_clusters_are_those_of_the_whole_spectrum(pair, eps):
    known, unresolved, everything = parts(pair)
    tree, whole = dendrogram(known, unresolved=unresolved), dendrogram(everything)
    assert tree.n_clusters(eps) == whole.n_clusters(eps)
    assert tree.sizes(eps).tolist() == [len(members) for members in whole.cut(eps)]
    assert tree.sizes(eps).dtype == np.int64
    np.testing.assert_array_equal(np.concatenate(tree.cut(eps)), np.arange(len(known)))
    assert len(tree.cut(eps)) == tree.n_clusters(eps)


@given(ends, st.integers(0, 30))
def test_gaps_are_those_of_the_whole_spectrum(pair, k):
    known, unresolved, everything = parts(pair)
    tree, whole = dendrogram(known, unresolved=unresolved), dendrogram(everything)
    wanted = [gap[:4] for gap in whole.gaps(len(everything)) if gap.size > FINE][:k]
    assert [gap[:4] for gap in tree.gaps(k)][: len(wanted)] == wanted
    between = 0 < unresolved.position < len(known)
    assert len(tree.gaps(100)) == len(known) - 1 - between
    deaths = tree.barcode()[:, 1]
    assert len(deaths) == len(known) - between
    for eps in (0.25, 0.5, 3.0):
        assert (deaths > eps).sum() == whole.n_clusters(eps)


@given(ends, resolutions)
def test_linkage_is_a_valid_one_of_the_known_eigenvalues(pair, eps):
    known, unresolved, _ = parts(pair)
    tree = dendrogram(known, unresolved=unresolved)
    if len(known) < 2:
        return
    assert is_valid_linkage(tree.linkage)
    assert tree.linkage[-1, 3] == len(known)
    assert len(set(fcluster(tree.linkage, eps, "distance"))) == tree.n_clusters(eps)
    if 0 < unresolved.position < len(known):
        heights = squareform(cophenet(tree.linkage))
        assert heights[unresolved.position - 1, unresolved.position] == 0


@pytest.mark.parametrize("window", [1, 3, 20])
def test_spacing_does_not_reach_across_the_bulk(window):
    rng = np.random.default_rng(window)
    below, above = np.sort(rng.uniform(-9, -5, 12)), np.sort(rng.uniform(1, 400, 15))
    tree = dendrogram(np.r_[below, above], unresolved=Unresolved(12, 1000))
    ratios = tree.relative_gaps(window)
    np.testing.assert_allclose(ratios[:11], dendrogram(below).relative_gaps(window))
    np.testing.assert_allclose(ratios[12:], dendrogram(above).relative_gaps(window))
    assert ratios[11] == 0
    largest = tree.gaps(26, relative=True, window=window)
    assert len(largest) == 25
    assert (below[-1], above[0]) not in {(gap.lower, gap.upper) for gap in largest}


def test_the_false_gap_is_none():
    values = [-2.0, -1.5, 90.0, 90.5, 97.0]
    assert dendrogram(values).gaps(1)[0].size == 91.5
    tree = dendrogram(values, unresolved=Unresolved(2, 94_576))
    assert tree.gaps(1)[0][:4] == (1, 90.5, 97.0, 6.5)
    assert tree.gaps(2)[1].rank == 94_576 + 4
    assert tree.n_clusters([0, 0.5, 6, 7]).tolist() == [4, 2, 2, 1]
    assert tree.sizes(1).tolist() == [94_580, 1]
    assert tree.sizes(0).tolist() == [1, 94_578, 1, 1]


def test_known_top_alone():
    tree = dendrogram([5.0, 6.0, 9.0], unresolved=Unresolved(0, 100))
    assert tree.heights.tolist() == [1, 3]
    assert tree.sizes(2).tolist() == [102, 1]
    assert tree.sizes(0.5).tolist() == [101, 1, 1]
    assert dendrogram([5.0], unresolved=Unresolved(1, 7)).sizes(0).tolist() == [8]


@pytest.mark.parametrize(
    ("unresolved", "words"),
    [
        (Unresolved(-1, 5), r"unresolved.position=-1: must be 0 to 2"),
        (Unresolved(3, 5), r"unresolved.position=3: must be 0 to 2"),
        (Unresolved(1, 0), r"unresolved.count=0: must be at least 1"),
    ],
)
def test_refuses(unresolved, words):
    with pytest.raises(ValueError, match=words):
        dendrogram([0.0, 1.0], unresolved=unresolved)
