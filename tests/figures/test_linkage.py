from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from hdlib.figures.linkage import checked_linkage, height_axis, tree_top

from .trees import caterpillar, random_tree


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
    ],
)
def test_refuses(rows, message):
    with pytest.raises(ValueError, match=message):
        checked_linkage("tree", rows)
