"""Spectra known in part against the whole spectra that they are parts of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage
from scipy.spatial.distance import squareform

from hdlib.clustering import Dendrogram, dendrogram

# Quarters outside of (−1, 1): every difference is exact, and the bulk lies between.
lowest = st.lists(st.integers(-40, -4).map(lambda i: i / 4), max_size=12)
highest = st.lists(st.integers(4, 40).map(lambda i: i / 4), max_size=12)
ends = st.tuples(lowest, highest).filter(lambda pair: pair[0] + pair[1])
resolutions = st.integers(1, 60).map(lambda i: i / 8)
FINE = 1 / 16


def parts(pair):
    """The dendrograms of what is known, and of all; gaps of the bulk are ≤ FINE."""
    below, above = np.sort(pair[0]), np.sort(pair[1])
    low = below[-1] if len(below) else above[0] - 1
    high = above[0] if len(above) else below[-1] + 1
    bulk = np.linspace(low, high, int((high - low) / FINE) + 2)[1:-1]
    known = np.concatenate((below, above))
    everything = dendrogram(np.concatenate((known, bulk)))
    return Dendrogram(known, everything.n, len(below)), everything


@given(ends, resolutions)
def test_clusters_are_those_of_the_whole_spectrum(pair, eps):
    tree, whole = parts(pair)
    assert tree.n_clusters(eps) == whole.n_clusters(eps)
    assert tree.sizes(eps).tolist() == [len(members) for members in whole.cut(eps)]
    assert tree.sizes(eps).dtype == np.int64
    np.testing.assert_array_equal(np.concatenate(tree.cut(eps)), np.arange(len(tree.eigenvalues)))
    assert len(tree.cut(eps)) == tree.n_clusters(eps)


@given(ends, st.integers(0, 30))
def test_gaps_are_those_of_the_whole_spectrum(pair, k):
    tree, whole = parts(pair)
    wanted = [gap[:4] for gap in whole.gaps(whole.n) if gap.size > FINE][:k]
    assert [gap[:4] for gap in tree.gaps(k)][: len(wanted)] == wanted
    known = len(tree.eigenvalues)
    between = 0 < tree.lowest < known
    assert len(tree.gaps(100)) == known - 1 - between
    deaths = tree.barcode()[:, 1]
    assert len(deaths) == known - between
    for eps in (0.25, 0.5, 3.0):
        assert (deaths > eps).sum() == whole.n_clusters(eps)


@given(ends, resolutions)
def test_linkage_is_a_valid_one_of_the_known_eigenvalues(pair, eps):
    tree, _ = parts(pair)
    known, lowest = len(tree.eigenvalues), tree.lowest
    if known < 2:
        return
    assert is_valid_linkage(tree.linkage)
    assert tree.linkage[-1, 3] == known
    assert len(set(fcluster(tree.linkage, eps, "distance"))) == tree.n_clusters(eps)
    if 0 < lowest < known:
        heights = squareform(cophenet(tree.linkage))
        assert heights[lowest - 1, lowest] == 0


@pytest.mark.parametrize("window", [1, 3, 20])
def test_spacing_does_not_reach_across_the_bulk(window):
    rng = np.random.default_rng(window)
    below, above = np.sort(rng.uniform(-9, -5, 12)), np.sort(rng.uniform(1, 400, 15))
    tree = Dendrogram(np.r_[below, above], n=1027, lowest=12)
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
    tree = Dendrogram(np.array(values), n=94_581, lowest=2)
    assert tree.gaps(1)[0][:4] == (1, 90.5, 97.0, 6.5)
    assert tree.gaps(2)[1].rank == 94_576 + 4
    assert tree.n_clusters([0, 0.5, 6, 7]).tolist() == [4, 2, 2, 1]
    assert tree.sizes(1).tolist() == [94_580, 1]
    assert tree.sizes(0).tolist() == [1, 94_578, 1, 1]


def test_known_top_alone():
    tree = Dendrogram(np.array([5.0, 6.0, 9.0]), n=103, lowest=0)
    assert tree.heights.tolist() == [1, 3]
    assert tree.sizes(2).tolist() == [102, 1]
    assert tree.sizes(0.5).tolist() == [101, 1, 1]
    assert Dendrogram(np.array([5.0]), n=8, lowest=1).sizes(0).tolist() == [8]


@pytest.mark.parametrize(
    ("n", "lowest", "words"),
    [
        (5, -1, "lowest=-1: must be 0 to 2"),
        (5, 3, "lowest=3: must be 0 to 2"),
        (1, 1, "2 of n=1 eigenvalues known: must be 1 to n"),
    ],
)
def test_refuses(n, lowest, words):
    with pytest.raises(ValueError, match=words):
        Dendrogram(np.array([0.0, 1.0]), n, lowest)
