from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures import binned, binned_shares


def test_mean_of_every_pair_of_different_parameters():
    rng = np.random.default_rng(0)
    matrix = rng.random((23, 23))
    order = rng.permutation(23)
    blocks = binned(matrix, order, bins=5)
    parts = np.split(order, np.round(np.linspace(0, 23, 6)[1:-1]).astype(int))
    assert {len(part) for part in parts} == {4, 5}
    for a, left in enumerate(parts):
        for b, right in enumerate(parts):
            pairs = [matrix[i, j] for i in left for j in right if i != j]
            assert blocks[a, b] == pytest.approx(np.mean(pairs), rel=1e-12)


def test_a_bin_for_each_parameter_reorders():
    matrix = np.random.default_rng(1).random((6, 6))
    order = np.array([3, 1, 5, 0, 2, 4])
    blocks = binned(matrix, order, bins=6)
    assert np.isnan(np.diagonal(blocks)).all()
    apart = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(blocks[apart], matrix[order][:, order][apart])


def test_one_bin_is_the_mean_without_the_diagonal():
    matrix = np.full((4, 4), 2.0) + np.diag([9.0, 8.0, 7.0, 6.0])
    assert binned(matrix, range(4), bins=1).tolist() == [[2.0]]


def test_shares_of_groups():
    groups, order = np.array([0, 0, 2, 2, 2, 0]), np.array([0, 2, 1, 5, 3, 4])
    assert binned_shares(groups, order, bins=3).tolist() == [[0.5, 0, 0.5], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("order", "bins", "message"),
    [
        ([0, 1, 1], 2, "order must be a permutation"),
        ([0, 1, 2], 0, "bins=0: must be 1 to 3"),
        ([0, 1, 2], 4, "bins=4: must be 1 to 3"),
        ([0, 1], 2, "couplings must be 2 × 2, as the order, got"),
    ],
)
def test_refuses(order, bins, message):
    with pytest.raises(ValueError, match=message):
        binned(np.ones((3, 3)), order, bins=bins)


def test_shares_refuse_groups_that_do_not_fit():
    with pytest.raises(ValueError, match="groups must be 3 integers ≥ 0"):
        binned_shares([0, 1], [0, 1, 2], bins=1)
