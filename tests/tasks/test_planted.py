from __future__ import annotations

import numpy as np
import pytest

from hdlib.tasks import planted_hessian


def test_blocks_have_their_sizes_and_deviations():
    hessian, labels = planted_hessian([300, 100, 50], noise=0.2, seed=0)
    assert hessian.shape == (450, 450)
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [300, 100, 50]
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_array_equal(np.diag(hessian), 0)
    upper = np.triu_indices(450, 1)
    same = (labels[:, None] == labels)[upper]
    entries = hessian[upper]
    for values, deviation in ((entries[same], 1.0), (entries[~same], 0.2)):
        standard_error = deviation / np.sqrt(len(values))
        assert abs(values.mean()) < 5 * standard_error
        assert abs(values.std() - deviation) < 5 * standard_error


def test_order_is_random_and_the_seeds_own():
    hessian, labels = planted_hessian([20, 20], noise=0.1, seed=1)
    again, same_labels = planted_hessian([20, 20], noise=0.1, seed=1)
    other, other_labels = planted_hessian([20, 20], noise=0.1, seed=2)
    np.testing.assert_array_equal(hessian, again)
    np.testing.assert_array_equal(labels, same_labels)
    assert (hessian != other).any()
    assert (labels != other_labels).any()
    assert (np.diff(labels) != 0).sum() > 2


def test_without_noise_blocks_are_uncoupled():
    hessian, labels = planted_hessian([3, 1, 2], noise=0, seed=0)
    apart = labels[:, None] != labels
    np.testing.assert_array_equal(hessian[apart], 0)
    assert (hessian[~apart] != 0).sum() == 6 + 2


@pytest.mark.parametrize("sizes", [[], [0, 3], [5, -1]])
def test_empty_blocks_are_refused(sizes):
    with pytest.raises(ValueError, match=r"sizes=\[.*\]: must be at least one block"):
        planted_hessian(sizes, noise=0.1, seed=0)


@pytest.mark.parametrize("noise", [-0.1, np.nan, np.inf])
def test_impossible_noise_is_refused(noise):
    with pytest.raises(ValueError, match=f"noise={noise}: must be finite and at least 0"):
        planted_hessian([3, 3], noise=noise, seed=0)
