"""Single linkage on a line against SciPy's single linkage of points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage, linkage

from hdlib.clustering import dendrogram

# Quarters: every difference is exact, ties are frequent.
quarters = st.integers(-30, 30).map(lambda i: i / 4)
# No finer than 1e-9, because SciPy's distances square the differences, and tiny ones vanish.
numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 9))
spectra = st.lists(st.one_of(quarters, numbers), min_size=2, max_size=40).map(np.array)
exact_spectra = st.lists(quarters, min_size=2, max_size=40).map(np.array)
resolutions = st.one_of(quarters.map(abs), st.floats(0, 1e3))


def scipy_linkage(values):
    return linkage(np.sort(values)[:, None], "single")


@given(spectra)
def test_linkage_is_that_of_scipy(values):
    ours, theirs = dendrogram(values).linkage, scipy_linkage(values)
    assert is_valid_linkage(ours)
    np.testing.assert_array_equal(ours[:, 2], theirs[:, 2])
    np.testing.assert_array_equal(cophenet(ours), cophenet(theirs))


@given(st.permutations(list(range(12))), st.integers(0, 100))
def test_linkage_without_ties_is_equal(order, seed):
    values = np.random.default_rng(seed).standard_normal(12)[list(order)]
    np.testing.assert_array_equal(dendrogram(values).linkage, scipy_linkage(values))


@given(spectra, st.lists(resolutions, min_size=1, max_size=5))
def test_cuts_are_those_of_scipy(values, eps):
    tree, theirs = dendrogram(values), scipy_linkage(values)
    counts = tree.n_clusters(eps)
    for resolution, count in zip(eps, counts, strict=True):
        labels = fcluster(theirs, resolution, "distance")
        clusters = tree.cut(resolution)
        assert len(clusters) == count == len(set(labels))
        np.testing.assert_array_equal(np.concatenate(clusters), np.arange(len(values)))
        for members in clusters:
            assert len(set(labels[members])) == 1


@given(spectra, st.lists(resolutions, min_size=2, max_size=9))
def test_fewer_clusters_at_coarser_resolutions(values, eps):
    counts = dendrogram(values).n_clusters(np.sort(eps))
    assert (np.diff(counts) <= 0).all()
    assert dendrogram(values).n_clusters(np.inf) == 1
    assert dendrogram(values).n_clusters(0) == len(set(values.tolist()))


@given(exact_spectra, st.integers(-50, 50), st.sampled_from([0.25, 0.5, 2, 8]), resolutions)
def test_shift_and_scale(values, shift, scale, eps):
    tree, moved = dendrogram(values), dendrogram(values * scale + shift)
    np.testing.assert_array_equal(moved.heights, tree.heights * scale)
    assert moved.n_clusters(eps * scale) == tree.n_clusters(eps)
    np.testing.assert_array_equal(moved.linkage[:, [0, 1, 3]], tree.linkage[:, [0, 1, 3]])


@given(exact_spectra)
def test_reflection(values):
    tree, mirrored = dendrogram(values), dendrogram(-values)
    np.testing.assert_array_equal(mirrored.heights, tree.heights[::-1])


@given(spectra, st.integers(0, 45), st.booleans(), st.integers(1, 7))
def test_gaps(values, k, relative, window):
    tree = dendrogram(values)
    gaps = tree.gaps(k, relative=relative, window=window)
    assert len(gaps) == min(k, len(values) - 1)
    assert len({gap.rank for gap in gaps}) == len(gaps)
    ordered = np.sort(values)[::-1]
    for gap in gaps:
        assert (gap.upper, gap.lower) == (ordered[gap.rank - 1], ordered[gap.rank])
        assert gap.size == gap.upper - gap.lower
    sizes = [gap.relative if relative else gap.size for gap in gaps]
    everything = tree.relative_gaps(window) if relative else tree.heights
    np.testing.assert_array_equal(sizes, np.sort(everything)[::-1][:k])


@given(spectra, st.integers(1, 7))
def test_relative_gaps_are_gaps_over_the_median_of_their_neighbours(values, window):
    tree = dendrogram(values)
    ratios = tree.relative_gaps(window)
    assert ratios.shape == (len(values) - 1,)
    assert np.isfinite(ratios).all()
    heights = tree.heights.tolist()
    floor = len(values) * 2.0**-52 * np.abs(values).max()
    for i, (height, ratio) in enumerate(zip(heights, ratios, strict=True)):
        others = heights[max(0, i - window) : i] + heights[i + 1 : i + 1 + window]
        spacing = max(np.median(others) if others else 0.0, floor)
        if spacing > 1e-290:
            assert ratio == pytest.approx(height / spacing, rel=1e-12)


@pytest.mark.parametrize(
    "values", [np.r_[np.zeros(30), 1.0], np.r_[-1e-300, np.zeros(9)], np.array([0, 5e-324, 0, 0])]
)
def test_relative_gaps_beside_repeated_zeros_are_finite(values):
    assert np.isfinite(dendrogram(values).relative_gaps()).all()


def test_relative_gap_in_numbers():
    # Gaps 1, 1, 4, 1, 1: the middle one is four times its neighbours.
    tree = dendrogram([0, 1, 2, 6, 7, 8])
    np.testing.assert_allclose(tree.relative_gaps(2), [0.4, 1, 4, 1, 0.4])
    assert tree.gaps(1, relative=True, window=2)[0] == (3, 2.0, 6.0, 4.0, 4.0)


@given(spectra)
def test_barcode(values):
    tree = dendrogram(values)
    births, deaths = tree.barcode().T
    assert not births.any()
    assert deaths[0] == np.inf
    np.testing.assert_array_equal(deaths[1:], np.sort(scipy_linkage(values)[:, 2])[::-1])
    for eps in (0.0, 0.5, 3.0):
        assert (deaths > eps).sum() == tree.n_clusters(eps)


def test_one_eigenvalue():
    tree = dendrogram([3.0])
    assert tree.n_clusters([0, 1]).tolist() == [1, 1]
    assert [members.tolist() for members in tree.cut(0)] == [[0]]
    assert tree.gaps(3) == []
    assert tree.relative_gaps().shape == (0,)
    np.testing.assert_array_equal(tree.barcode(), [[0, np.inf]])
    with pytest.raises(ValueError, match="at least 2 eigenvalues, got 1"):
        _ = tree.linkage


@pytest.mark.parametrize("scale", [1e-290, 1.0, 1e307])
def test_relative_gaps_have_no_scale(scale):
    values = np.array([-1.0, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(
        dendrogram(scale * values).relative_gaps(), dendrogram(values).relative_gaps(), rtol=1e-12
    )


def test_shapes_of_resolutions():
    tree = dendrogram([0.0, 1.0, 3.0])
    assert tree.n_clusters(np.array([[0, 1], [2, 3]])).tolist() == [[3, 2], [1, 1]]
    assert tree.n_clusters(1.5).shape == ()
    assert tree.n_clusters(1.5).dtype == np.int64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], r"non-empty vector, got shape \(0,\)"),
        ([[1.0]], r"non-empty vector, got shape \(1, 1\)"),
        ([0.0, np.nan], "finite, got nan at index 1"),
        ([np.inf, 0.0], "finite, got inf at index 0"),
        ([1e308, 0.0, -1e308], r"eigenvalues up to 1e\+308: above 4e\+307 differences leave"),
    ],
)
def test_spectra_that_are_none(values, words):
    with pytest.raises(ValueError, match=words):
        dendrogram(values)


def test_arguments_that_cannot_be():
    tree = dendrogram([0.0, 1.0])
    for eps in (-1.0, np.nan, [0.0, -0.5]):
        with pytest.raises(ValueError, match="resolutions must not be negative or NaN, got"):
            tree.n_clusters(eps)
    with pytest.raises(ValueError, match=r"negative or NaN, got -1\.0"):
        tree.cut(-1.0)
    with pytest.raises(ValueError, match="k must not be negative, got -1"):
        tree.gaps(-1)
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        tree.relative_gaps(0)
