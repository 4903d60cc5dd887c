from __future__ import annotations

import numpy as np
import pytest

from hdlib.clustering import algebraic_connectivity, permuted_within_blocks
from hdlib.tasks import planted_hessian


def test_every_block_keeps_its_couplings_and_nothing_else():
    rng = np.random.default_rng(0)
    square = rng.standard_normal((12, 12))
    hessian = square + square.T
    groups = [np.array([0, 3, 5, 11]), np.array([1, 2]), np.array([4, 6, 7, 8, 9, 10])]
    permuted = permuted_within_blocks(hessian, groups, rng)
    np.testing.assert_array_equal(permuted, permuted.T)
    assert not permuted.diagonal().any()
    for i, rows in enumerate(groups):
        for columns in groups[i + 1 :]:
            before, after = (np.sort(m[np.ix_(rows, columns)].ravel()) for m in (hessian, permuted))
            np.testing.assert_array_equal(before, after)
        upper = np.triu_indices(len(rows), 1)
        before, after = (np.sort(m[np.ix_(rows, rows)][upper]) for m in (hessian, permuted))
        np.testing.assert_array_equal(before, after)
    assert (permuted != hessian).mean() > 0.5


def test_blocks_within_a_group_are_lost_and_those_of_groups_are_kept():
    hessian, blocks = planted_hessian([40, 40], noise=0.1, seed=0)
    generator = np.random.default_rng(0)
    whole = permuted_within_blocks(hessian, [np.arange(80)], generator)
    halves = permuted_within_blocks(
        hessian, [np.flatnonzero(blocks == b) for b in range(2)], generator
    )
    planted, lost, kept = map(algebraic_connectivity, (hessian, whole, halves))
    assert kept == pytest.approx(planted, rel=0.1)
    assert lost > 2 * planted


@pytest.mark.parametrize("groups", [[[0, 1]], [[0, 1], [1, 2]], [[0, 1, 2, 3]]])
def test_groups_must_be_a_partition(groups: list[list[int]]):
    with pytest.raises(ValueError, match="groups must be a partition"):
        permuted_within_blocks(np.eye(3), groups, np.random.default_rng(0))
