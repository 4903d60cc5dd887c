"""The null of gaps: it holds its level, and finds what is planted."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures import featureless_scores, featureless_spacings, gap_test, spacing_ratio
from hdlib.measures.featureless import quantile_error, smooth_tail


@pytest.fixture(scope="module")
def null() -> np.ndarray:
    return featureless_spacings(draws=200)


def wishart(population: np.ndarray, *, samples: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((samples, len(population)))
    return np.linalg.svd(rows * np.sqrt(population), compute_uv=False) ** 2


def test_spacings_repel_and_have_mean_one(null):
    assert null.shape == (200, 100)
    np.testing.assert_allclose(null.mean(0), 1)
    assert spacing_ratio(null) == pytest.approx(0.531, abs=0.01)
    np.testing.assert_array_equal(featureless_spacings(draws=2), featureless_spacings(draws=2))


def test_few_wide_gaps_where_independent_eigenvalues_have_many(null):
    """The largest of 100 exponentials exceeds 7.6 with probability 5%."""
    highest = (null / null.mean(1, keepdims=True)).max(1)
    assert 3.0 < np.quantile(highest, 0.95) < 3.6
    assert 0.02 < quantile_error(highest) < 0.3


def test_about_one_in_twenty_featureless_spectra_stands_out(null):
    """Other samples, dimensions and tails than the null's own: its p-values hold all the same."""
    log_rank = np.log(np.arange(1, 251))
    p = np.array(
        [
            gap_test(wishart(population, samples=500, seed=i), [null]).p
            for population in np.exp(-0.9 * log_rank - np.outer([-0.1, 0.0, 0.1], log_rank**2))
            for i in range(40)
        ]
    )
    assert 0 < (p <= 0.05).mean() < 0.12
    assert 0.3 < np.median(p) < 0.7


def test_a_planted_group_stands_out(null):
    population = np.arange(1.0, 251) ** -1
    population[:9] *= 3
    found = gap_test(wishart(population, samples=2_000, seed=0), [null])
    assert found.rank == 9
    assert found.p <= 0.01
    assert found.stands_out


def test_a_predicted_rank_need_not_pay_for_a_search(null):
    population = np.arange(1.0, 251) ** -1
    population[:9] *= 1.35
    eigenvalues = wishart(population, samples=2_000, seed=1)
    search, alone = gap_test(eigenvalues, [null]), gap_test(eigenvalues, [null], ranks=[9])
    assert alone.rank == 9
    assert alone.score <= search.score
    assert alone.threshold[1] < search.threshold[0]
    assert alone.p < search.p


def test_tail_follows_a_bend_and_not_one_gap():
    log_rank = np.log(np.arange(1, 101))
    bent = np.exp(0.2 + 0.5 * log_rank - 0.1 * log_rank**2)
    np.testing.assert_allclose(smooth_tail(bent), bent, rtol=1e-6)
    spike = bent.copy()
    spike[8] *= 10
    assert smooth_tail(spike)[8] < 2 * bent[8]


def test_fewer_positive_eigenvalues_are_fewer_gaps(null):
    few = np.r_[np.arange(1.0, 21) ** -1, -np.ones(300)]
    assert featureless_scores(null, few).shape == (200, 19)
    with pytest.raises(ValueError, match=r"ranks must be from 1 to 19, got \[20\]"):
        gap_test(few, [null], ranks=[20])
    with pytest.raises(ValueError, match="ranks must be from 1 to 19"):
        gap_test(few, [null], ranks=[0])


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="samples=100: at least 200"):
        featureless_spacings(samples=100)
