from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from hdlib.measures import squared_cosines, subspace_overlap

RNG = np.random.default_rng(0)


def basis(n: int, k: int):
    return np.linalg.qr(RNG.standard_normal((n, k)))[0]


def test_squared_cosines():
    axes = np.eye(4)[:, :3]
    np.testing.assert_allclose(
        squared_cosines(np.array([3.0, 0, 4, 0]), axes), [9 / 25, 0, 16 / 25], rtol=1e-14
    )
    assert not squared_cosines(np.array([0, 0, 0, 2.0]), axes).any()
    inside = basis(50, 7)
    vector = inside @ RNG.standard_normal(7)
    assert squared_cosines(1e-100 * vector, inside).sum() == pytest.approx(1, rel=1e-12)


def test_squared_cosines_of_random_vectors_are_k_over_n():
    inside = basis(100, 20)
    sums = [squared_cosines(v, inside).sum() for v in RNG.standard_normal((2000, 100))]
    assert np.mean(sums) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("k", [1, 4, 10])
def test_overlap_is_the_mean_squared_cosine_of_principal_angles(k):
    first, second = basis(30, k), basis(30, k)
    expected = (np.cos(subspace_angles(first, second)) ** 2).mean()
    assert subspace_overlap(first, second) == pytest.approx(expected, rel=1e-10)
    assert subspace_overlap(first, first @ basis(k, k)) == pytest.approx(1, rel=1e-12)


def test_overlap_of_orthogonal_subspaces():
    whole = basis(20, 20)
    assert subspace_overlap(whole[:, :5], whole[:, 5:10]) == pytest.approx(0, abs=1e-28)


def test_errors():
    with pytest.raises(ValueError, match="not all zero"):
        squared_cosines(np.zeros(4), np.eye(4))
    with pytest.raises(ValueError, match="a vector of 4 entries"):
        squared_cosines(np.ones(3), np.eye(4))
    with pytest.raises(ValueError, match=r"one shape, got \(4, 2\) and \(4, 3\)"):
        subspace_overlap(np.eye(4)[:, :2], np.eye(4)[:, :3])
