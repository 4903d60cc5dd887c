from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from hdlib.clustering import dendrogram
from hdlib.figures.tree import (
    checked_linkage,
    eigenvalue_tree,
    gap_limits,
    height_axis,
    spatial,
    tree_top,
)

from .spectra import known
from .trees import caterpillar, random_tree

spectra = st.lists(st.integers(-20, 20).map(lambda i: i / 4), min_size=1, max_size=40)


def heights(tree):
    return tree.brackets[:, 1, 1]


@settings(max_examples=200, deadline=None)
@given(spectra, st.integers(1, 45))
def test_tree_of_any_spectrum(values, merges):
    values = np.array(values)
    floor, ceiling = gap_limits([dendrogram(values)], merges=merges)
    tree = eigenvalue_tree(dendrogram(values), merges=merges, floor=floor)
    gaps = np.sort(np.diff(np.sort(values)))[::-1][:merges]
    np.testing.assert_array_equal(heights(tree)[::-1], gaps[gaps > 0])
    assert tree.members.sum() == len(values)
    assert len(tree.members) == len(tree.brackets) + 1
    assert (tree.lower <= tree.upper).all()
    assert (tree.upper[:-1] < tree.lower[1:]).all()
    np.testing.assert_allclose(tree.members @ tree.mean, values.sum(), atol=1e-9)
    assert floor < ceiling
    # A branch starts at the floor or on top of a lower merge, and never goes down.
    feet = tree.brackets[:, [0, 3], 1]
    assert (feet <= heights(tree)[:, None]).all()
    assert np.isin(feet, [floor, *heights(tree)]).all()


def test_every_branch_is_used_once():
    values = np.random.default_rng(0).standard_normal(200)
    tree = eigenvalue_tree(dendrogram(values), merges=30, floor=1e-6)
    feet = {tuple(point) for bracket in tree.brackets for point in (bracket[0], bracket[3])}
    tops = {tuple(bracket[1:3].mean(axis=0)) for bracket in tree.brackets[:-1]}
    leaves = {(float(x), 1e-6) for x in range(31)}
    assert feet == tops | leaves


def test_tree_separates_the_leaves_at_the_largest_gaps():
    tree = eigenvalue_tree(dendrogram([0.0, 0.1, 5.0, 5.2, 9.0]), merges=2, floor=1.0)
    assert tree.members.tolist() == [2, 2, 1]
    assert tree.labels == ["0.05 (×2)", "5.1 (×2)", "9"]
    assert tree.largest == 0
    np.testing.assert_allclose(tree.brackets[0], [[1, 1], [1, 3.8], [2, 3.8], [2, 1]])
    np.testing.assert_allclose(tree.brackets[1], [[0, 1], [0, 4.9], [1.5, 4.9], [1.5, 3.8]])


def test_equal_gaps_are_all_drawn_while_there_is_room():
    tree = eigenvalue_tree(dendrogram(np.arange(6.0)), merges=5, floor=0.5)
    assert heights(tree).tolist() == [1.0] * 5
    assert tree.members.tolist() == [1] * 6


def test_equal_eigenvalues_share_a_leaf():
    tree = eigenvalue_tree(dendrogram([0.0, 0.0, 0.0, 2.0]), merges=30, floor=1.0)
    assert tree.members.tolist() == [3, 1]
    equal = dendrogram(np.full(7, 3.0))
    everything = eigenvalue_tree(equal, merges=30, floor=0.1)
    assert everything.members.tolist() == [7]
    assert everything.brackets.shape == (0, 4, 2)
    assert gap_limits([equal], merges=30) == (0.1, 1.0)


@pytest.mark.parametrize("merges", [1, 30])
def test_limits_hold_the_merges_of_every_spectrum(trajectory, merges):
    trees = trajectory.dendrograms
    low, high = gap_limits(trees, merges=merges)
    for tree in trees:
        drawn = heights(eigenvalue_tree(tree, merges=merges, floor=low))
        assert len(drawn) == merges
        assert low < drawn.min()
        assert drawn.max() < high


@pytest.mark.parametrize("merges", [1, 12, 200])
def test_both_kinds_of_tree_have_one_geometry(merges):
    """Children in spatial order: SciPy's linkage of the eigenvalues gives the same brackets."""
    for seed in range(100):
        values = np.random.default_rng(seed).standard_normal(40) ** 3
        tree = eigenvalue_tree(dendrogram(values), merges=merges, floor=1e-12)
        top = tree_top(
            spatial(linkage(np.sort(values)[:, None], "single")),
            merges=merges,
            floor=1e-12,
            spread="clusters",
        )
        np.testing.assert_array_equal(top.order, np.arange(40))
        np.testing.assert_array_equal(top.sizes, tree.members)
        np.testing.assert_allclose(top.brackets, tree.brackets, rtol=1e-12)


def test_the_bulk_is_one_leaf(ends):
    values = ends.spectra[0].eigenvalues
    tree = eigenvalue_tree(ends.dendrograms[0], merges=10, floor=1e-9)
    gaps = np.sort(np.delete(np.diff(values), 39))[::-1][:10]
    np.testing.assert_array_equal(heights(tree)[::-1], gaps)
    assert tree.members.sum() == 94_666
    (bulk,) = np.flatnonzero(np.isnan(tree.mean))
    assert bulk == tree.largest
    assert tree.labels[bulk] == f"bulk (×{tree.members[bulk]:,})"
    assert tree.lower[bulk] <= values[39] < values[40] <= tree.upper[bulk]
    assert gap_limits(ends.dendrograms[:1], merges=10)[1] < 5


@pytest.mark.parametrize(("lowest", "leaf", "side"), [(0, 0, "lower"), (3, -1, "upper")])
def test_nothing_is_known_beyond_a_bulk_at_an_end(lowest, leaf, side):
    dendro = dendrogram(known([1.0, 2.0, 4.0], n=13, lowest=lowest))
    tree = eigenvalue_tree(dendro, merges=1, floor=0.1)
    assert np.isinf(getattr(tree, side)[leaf])
    assert tree.labels[leaf].startswith("bulk")


@pytest.mark.parametrize("merges", [1, 4, 39, 100])
def test_remaining_clusters_are_a_cut_of_the_tree(merges):
    tree = random_tree(40, 0)
    top = tree_top(tree.linkage, merges=merges, floor=0, spread="leaves")
    np.testing.assert_array_equal(top.order, tree.order)
    count = min(merges, 39) + 1
    assert len(top.clusters) == count == len(top.x)
    labels = fcluster(tree.linkage, count, "maxclust")
    expected = {frozenset(np.flatnonzero(labels == label)) for label in set(labels)}
    assert {frozenset(part.tolist()) for part in top.clusters} == expected
    assert top.sizes.tolist() == [len(part) for part in top.clusters]
    np.testing.assert_allclose(top.x, top.bounds[:-1] + top.sizes / 2)


def members(rows, n, cluster):
    if cluster < n:
        return {cluster}
    left, right = rows[cluster - n, :2].astype(int)
    return members(rows, n, left) | members(rows, n, right)


def test_brackets_join_what_the_linkage_joins():
    rows = linkage(np.random.default_rng(1).random((12, 2)), "average")
    top = tree_top(rows, merges=11, floor=-1, spread="clusters")
    np.testing.assert_array_equal(top.rows, np.arange(11))
    place = dict(zip(top.order.tolist(), top.x.tolist(), strict=True))
    assert sorted(place.values()) == list(range(12))
    where = {leaf: (x, -1.0) for leaf, x in place.items()}
    for row, (bracket, (begin, end)) in enumerate(zip(top.brackets, top.spans, strict=True)):
        left, right = (where[int(part)] for part in rows[row, :2])
        height = rows[row, 2]
        expected = [left, (left[0], height), (right[0], height), right]
        np.testing.assert_array_equal(bracket, expected)
        assert set(top.order[begin:end].tolist()) == members(rows, 12, 12 + row)
        where[12 + row] = ((left[0] + right[0]) / 2, height)


def test_a_tree_deeper_than_the_recursion_limit():
    n = 3 * sys.getrecursionlimit()
    top = tree_top(caterpillar(n), merges=2, floor=0, spread="leaves")
    assert sorted(top.sizes.tolist()) == [1, 1, n - 2]
    assert sorted(top.order.tolist()) == list(range(n))


@pytest.mark.parametrize(
    ("heights", "scale"),
    [([1, 50], "linear"), ([1, 99], "linear"), ([1, 101], "log"), ([0, 101], "linear")],
)
def test_axis_is_logarithmic_beyond_a_factor_of_100(heights, scale):
    low, high, found = height_axis(np.array(heights, dtype=float))
    assert found == scale
    assert low < heights[0] or (low == 0 and scale == "linear")
    assert high > heights[1]


@pytest.mark.parametrize("height", [0.0, 2.0])
def test_axis_of_equal_heights(height):
    low, high, _ = height_axis(np.array([height, height]))
    assert low < height < high


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 1.0]], r"tree must have shape \(any, 4\), got \(1, 3\)"),
        ([[0, 1, np.nan, 2]], "tree must be finite, got nan"),
        ([[0, 1, 1, 2], [0, 1, 2, 3]], "tree must be a linkage matrix"),
        ([[0, 1, 2, 2], [2, 3, 1, 3]], "do not descend, got 2 and then 1 at row 0"),
        ([[0, 1, 1, 2]], "tree must have 2 rows for 3 parameters, got 1"),
    ],
)
def test_refuses(rows, message):
    with pytest.raises(ValueError, match=message):
        checked_linkage("tree", rows, 3)
