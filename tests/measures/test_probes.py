"""Linear probes on features whose content is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from hdlib.measures import probes

STRENGTHS = (1e-3, 1e-1, 1e1)
ROWS, FITTED, WIDTH = 3_000, 1_000, 40


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def features(generator: np.random.Generator) -> np.ndarray:
    return generator.standard_normal((ROWS, WIDTH)) * np.logspace(-2, 2, WIDTH) + 5


@pytest.fixture
def fitted() -> np.ndarray:
    return np.arange(ROWS) < FITTED


def planted(features: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A hyperplane's answers, with a margin."""
    standardised = (features - features.mean(0)) / features.std(0)
    direction = generator.standard_normal(WIDTH)
    return standardised @ direction / np.linalg.norm(direction)


def test_planted_concept_is_found(features, fitted, generator):
    values = planted(features, generator)
    wide = np.abs(values) > 0.3
    labels = values > 0
    decisions = probes.linear_probe(features[wide], labels[wide], fitted[wide], strengths=STRENGTHS)
    held_out = ~fitted[wide]
    assert probes.balanced_accuracy(decisions[held_out] > 0, labels[wide][held_out]) == 1.0
    assert probes.ranking_accuracy(decisions[held_out], labels[wide][held_out]) == 1.0


def test_shuffled_labels_are_at_chance_where_held_out_and_above_it_where_fitted(
    features, fitted, generator
):
    labels = generator.permutation(planted(features, generator) > 0)
    decisions = probes.linear_probe(features, labels, fitted, strengths=(1.0,))
    held_out, same = (
        probes.balanced_accuracy(decisions[rows] > 0, labels[rows]) for rows in (~fitted, fitted)
    )
    # Four standard errors of a coin thrown once for each row.
    assert abs(held_out - 0.5) < 4 * 0.5 / (ROWS - FITTED) ** 0.5
    assert same > 0.5 + 4 * 0.5 / FITTED**0.5


def test_features_are_standardised(features, fitted, generator):
    labels = planted(features, generator) > 0.5
    plain, scaled = (
        probes.linear_probe(found, labels, fitted, strengths=STRENGTHS)
        for found in (features, features * np.logspace(3, -3, WIDTH) - 7)
    )
    assert np.allclose(plain, scaled, rtol=1e-4, atol=1e-4)


def test_regularisation_is_chosen_on_fitted_rows_alone(features, fitted, generator):
    labels = planted(features, generator) > 0.5
    other = labels.copy()
    other[~fitted] = generator.permutation(other[~fitted])
    first, second = (
        probes.linear_probe(features, found, fitted, strengths=STRENGTHS)
        for found in (labels, other)
    )
    assert np.array_equal(first, second)


def test_neighbouring_rows_are_in_all_folds():
    """A line of a grid that is a fold of its own would be one that the others know nothing of."""
    lines = np.repeat(np.arange(60), 50)
    folds = probes._folds(lines % 2 == 0, np.arange(len(lines)))
    for line in range(60):
        assert set(folds[lines == line].tolist()) == {0, 1, 2}


def test_groups_stay_in_one_fold_and_labels_are_dealt_out(generator):
    groups = generator.permutation(np.repeat(np.arange(40), 2))
    labels = groups < 6
    folds = probes._folds(labels, groups)
    for group in range(40):
        assert len(set(folds[groups == group])) == 1
    assert np.bincount(folds[labels]).tolist() == [4, 4, 4]


def test_too_few_of_a_label(features, fitted):
    labels = np.arange(ROWS) < 2
    with pytest.raises(ValueError, match="a label has 2 of 1000 fitted rows; at least 3"):
        probes.linear_probe(features, labels, fitted, strengths=STRENGTHS)


def test_a_constant_is_half_right_on_a_rare_concept():
    x, y = (values.ravel() for values in np.indices((97, 97)))
    equal = x == y
    never = np.zeros_like(equal)
    assert (never == equal).mean() > 0.98
    assert probes.balanced_accuracy(never, equal) == 0.5
    assert probes.balanced_accuracy(~never, equal) == 0.5
    assert probes.ranking_accuracy(never.astype(float), equal) == 0.5


def test_scores_are_those_of_scikit_learn(generator):
    labels = generator.random(500) < 0.2
    decisions = np.round(generator.standard_normal(500) + labels, 1)  # with ties
    assert probes.balanced_accuracy(decisions > 0, labels) == pytest.approx(
        balanced_accuracy_score(labels, decisions > 0)
    )
    assert probes.ranking_accuracy(decisions, labels) == pytest.approx(
        roc_auc_score(labels, decisions)
    )
    targets = generator.standard_normal((500, 3))
    predicted = targets + generator.standard_normal((500, 3))
    assert probes.explained(predicted, targets) == pytest.approx(
        r2_score(targets, predicted, multioutput="raw_values")
    )


def test_scores_of_nothing_are_missing():
    assert np.isnan(probes.balanced_accuracy(np.ones(3, bool), np.ones(3, bool)))
    assert np.isnan(probes.ranking_accuracy(np.ones(3), np.zeros(3, bool)))
    assert np.isnan(probes.explained(np.empty((0, 2)), np.empty((0, 2)))).all()


def test_planted_wave_is_found_and_noise_is_not(features, fitted, generator):
    targets = np.column_stack([planted(features, generator), generator.standard_normal(ROWS)])
    predicted = probes.regression_probe(features, targets, fitted)
    wave, noise = probes.explained(predicted[~fitted], targets[~fitted])
    assert wave > 0.9999
    assert abs(noise) < 0.1
