"""Spacings and scores of the top of a spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures import tail_scores, tail_spacings


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
