from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdlib.clustering import dendrogram
from hdlib.figures.tree import build_tree, height_limits

spectra = st.lists(st.integers(-20, 20).map(lambda i: i / 4), min_size=1, max_size=40)


def heights(tree):
    return tree.merges[:, 1, 1]


@settings(max_examples=200, deadline=None)
@given(spectra, st.integers(1, 45))
def test_tree_of_any_spectrum(values, merges):
    values = np.array(values)
    floor, ceiling = height_limits([dendrogram(values)], merges=merges)
    tree = build_tree(dendrogram(values), merges=merges, floor=floor)
    gaps = np.sort(np.diff(np.sort(values)))[::-1][:merges]
    np.testing.assert_array_equal(heights(tree)[::-1], gaps[gaps > 0])
    assert tree.members.sum() == len(values)
    assert len(tree.members) == len(tree.merges) + 1
    assert (tree.lower <= tree.upper).all()
    assert (tree.upper[:-1] < tree.lower[1:]).all()
    np.testing.assert_allclose(tree.members @ tree.mean, values.sum(), atol=1e-9)
    assert floor < ceiling
    # A branch starts at the floor or on top of a lower merge, and never goes down.
    feet = tree.merges[:, [0, 3], 1]
    assert (feet <= heights(tree)[:, None]).all()
    assert np.isin(feet, [floor, *heights(tree)]).all()


def test_every_branch_is_used_once():
    values = np.random.default_rng(0).standard_normal(200)
    tree = build_tree(dendrogram(values), merges=30, floor=1e-6)
    feet = {tuple(point) for bracket in tree.merges for point in (bracket[0], bracket[3])}
    tops = {tuple(bracket[1:3].mean(axis=0)) for bracket in tree.merges[:-1]}
    leaves = {(float(x), 1e-6) for x in range(31)}
    assert feet == tops | leaves


def test_tree_separates_the_leaves_at_the_largest_gaps():
    tree = build_tree(dendrogram([0.0, 0.1, 5.0, 5.2, 9.0]), merges=2, floor=1.0)
    assert tree.members.tolist() == [2, 2, 1]
    assert tree.labels == ["0.05 (×2)", "5.1 (×2)", "9"]
    assert tree.largest == 0
    np.testing.assert_allclose(tree.merges[0], [[1, 1], [1, 3.8], [2, 3.8], [2, 1]])
    np.testing.assert_allclose(tree.merges[1], [[0, 1], [0, 4.9], [1.5, 4.9], [1.5, 3.8]])


def test_equal_gaps_are_all_drawn_while_there_is_room():
    tree = build_tree(dendrogram(np.arange(6.0)), merges=5, floor=0.5)
    assert heights(tree).tolist() == [1.0] * 5
    assert tree.members.tolist() == [1] * 6


def test_equal_eigenvalues_share_a_leaf():
    tree = build_tree(dendrogram([0.0, 0.0, 0.0, 2.0]), merges=30, floor=1.0)
    assert tree.members.tolist() == [3, 1]
    equal = dendrogram(np.full(7, 3.0))
    everything = build_tree(equal, merges=30, floor=0.1)
    assert everything.members.tolist() == [7]
    assert everything.merges.shape == (0, 4, 2)
    assert height_limits([equal], merges=30) == (0.1, 1.0)


@pytest.mark.parametrize("merges", [1, 30])
def test_limits_hold_the_merges_of_every_spectrum(trajectory, merges):
    trees = [dendrogram(values) for values in trajectory]
    low, high = height_limits(trees, merges=merges)
    for tree in trees:
        drawn = heights(build_tree(tree, merges=merges, floor=low))
        assert len(drawn) == merges
        assert low < drawn.min()
        assert drawn.max() < high
