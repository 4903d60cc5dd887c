"""Spacings, scores and ratios of the top of a spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures import spacing_ratio, tail_scores, tail_spacings


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0])
def test_spacings_of_a_power_law_are_its_index(index):
    ranks = np.arange(1.0, 400)
    spacings = tail_spacings(np.flip(7 * ranks**-index))
    assert len(spacings) == 100
    np.testing.assert_allclose(spacings[9:], index, rtol=0.06)


@pytest.mark.parametrize("outliers", [1, 3, 9, 40])
def test_a_planted_gap_has_the_highest_score(outliers):
    values = np.arange(1.0, 400) ** -1
    values[:outliers] *= 5
    scores = tail_scores(values)
    assert scores.argmax() + 1 == outliers
    assert scores.mean() == pytest.approx(1)


def test_only_positive_eigenvalues_count():
    assert len(tail_spacings(np.array([-3.0, 0.0, 1.0, 2.0, 4.0]))) == 2
    with pytest.raises(ValueError, match="2 different positive eigenvalues, got 1 positive"):
        tail_scores(np.array([-1.0, 0.0, 3.0]))
    with pytest.raises(ValueError, match="2 different positive eigenvalues"):
        tail_scores(np.array([3.0, 3.0]))


def test_ratio_tells_repulsion_from_independence():
    rng = np.random.default_rng(0)
    assert spacing_ratio(rng.exponential(size=(50, 2_000))) == pytest.approx(
        2 * np.log(2) - 1, abs=0.003
    )
    symmetric = rng.standard_normal((600, 600))
    middle = np.linalg.eigvalsh(symmetric + symmetric.T)[100:500]
    assert spacing_ratio(np.diff(np.asarray(middle, dtype=np.float64))) == pytest.approx(
        0.531, abs=0.03
    )
