from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from hdlib.clustering import (
    algebraic_connectivity,
    coupling_graph,
    fiedler_modules,
    permuted_with_degrees,
    permuted_within_blocks,
)
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


def heavy(n: int = 60) -> np.ndarray:
    """Couplings of very unequal degrees with two blocks, and two parameters without any."""
    generator = np.random.default_rng(1)
    weights = generator.lognormal(0, 2, n)
    blocks = np.arange(n) % 2
    noise = generator.exponential(size=(n, n))
    matrix = (
        np.outer(weights, weights)
        * (noise + noise.T)
        * np.where(blocks[:, None] == blocks, 1.0, 0.02)
    )
    matrix[:2] = matrix[:, :2] = 0
    return matrix


@pytest.mark.parametrize("parts", [1, 3])
def test_degrees_are_kept_and_blocks_are_lost(parts: int):
    matrix = heavy()
    couplings = coupling_graph(matrix)
    groups = np.array_split(np.arange(60), parts)
    null = permuted_with_degrees(-matrix, groups, np.random.default_rng(0))
    np.testing.assert_array_equal(null, null.T)
    assert null.min() == 0
    assert not null.diagonal().any()
    np.testing.assert_allclose(null.sum(0), couplings.sum(0), rtol=1e-8)
    blocks = np.arange(60) % 2
    found = [fiedler_modules(each).labels[2:] for each in (matrix, null)]
    agreement = [adjusted_rand_score(blocks[2:], labels) for labels in found]
    assert agreement[0] > 0.9
    assert agreement[1] < 0.2


def test_groups_without_couplings_between_them_stay_so():
    matrix = heavy()
    matrix[:30, :30] = matrix[30:, 30:] = 0
    groups = [np.arange(30), np.arange(30, 60)]
    null = permuted_with_degrees(matrix, groups, np.random.default_rng(0))
    assert not null[:30, :30].any()
    assert not null[30:, 30:].any()
    np.testing.assert_allclose(null.sum(0), coupling_graph(matrix).sum(0), rtol=1e-8)


def test_degrees_that_no_permutation_can_have_are_refused():
    star = np.zeros((40, 40))
    star[0, 1:] = star[1:, 0] = 1.0
    with pytest.raises(ValueError, match="cannot be scaled to the degrees of H"):
        permuted_with_degrees(star, [np.arange(40)], np.random.default_rng(0))
