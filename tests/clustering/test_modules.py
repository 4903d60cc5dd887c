from __future__ import annotations

import numpy as np
import pytest

from hdlib.clustering import fiedler_modules, fiedler_tree
from hdlib.tasks import planted_hessian


def pieces() -> np.ndarray:
    """Two components, one with two blocks, and parameters without any coupling between them."""
    matrix = np.zeros((70, 70))
    matrix[:50, :50] = planted_hessian((30, 20), noise=0.2, seed=0)[0]
    matrix[50:60, 50:60] = 1.0
    order = np.random.default_rng(0).permutation(70)
    return matrix[np.ix_(order, order)]


MATRICES = {
    "equal blocks": planted_hessian((15,) * 8, noise=0.1, seed=0)[0],
    "unequal blocks": planted_hessian((80, 40, 20, 4), noise=0.3, seed=1)[0],
    "noise": planted_hessian((50, 50), noise=0.7, seed=2)[0],
    "pieces": pieces(),
    "uncoupled": np.eye(5),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
def test_they_are_those_of_the_whole_tree(matrix: np.ndarray):
    tree, found = fiedler_tree(matrix), fiedler_modules(matrix)
    np.testing.assert_array_equal(found.labels, tree.cut(tree.n_modules))
    assert found.modularity == pytest.approx(tree.modularity, abs=1e-12)


def test_at_most_so_many_are_those_of_the_first_splits():
    matrix = MATRICES["unequal blocks"]
    found = [fiedler_modules(matrix, most=most) for most in (1, 2, 3, 200)]
    assert [each.labels.max() + 1 for each in found[:3]] == [1, 2, 3]
    gains = np.diff([each.modularity for each in found])
    assert (gains[:2] > 0).all()
    np.testing.assert_array_equal(found[3].labels, fiedler_modules(matrix).labels)


def test_fewer_than_there_are_pieces_is_refused():
    with pytest.raises(ValueError, match="most=1: at least 3, the number of pieces"):
        fiedler_modules(pieces(), most=1)


def test_modularity_is_that_of_newman_and_girvan():
    networkx = pytest.importorskip("networkx")
    matrix = np.abs(MATRICES["unequal blocks"])
    np.fill_diagonal(matrix, 0)
    found = fiedler_modules(matrix)
    groups = [set(np.flatnonzero(found.labels == k)) for k in range(found.labels.max() + 1)]
    expected = networkx.community.modularity(networkx.from_numpy_array(matrix), groups)
    assert found.modularity == pytest.approx(expected)


def test_what_is_not_symmetric_is_refused():
    with pytest.raises(ValueError, match="must be symmetric"):
        fiedler_modules(np.triu(np.ones((3, 3))))
