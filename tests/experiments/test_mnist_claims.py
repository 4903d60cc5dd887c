"""What the MNIST chapter says in words, checked against its published run."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.clustering import dendrogram
from hdlib.experiments.mnist import MnistConfig
from hdlib.experiments.mnist_results import GAP, LARGEST, SMALL, MnistResults
from hdlib.measures import tail_scores, tail_threshold
from hdlib.runs import PUBLISHED, Run


@pytest.fixture(scope="module")
def results() -> MnistResults:
    return MnistResults(Run(MnistConfig(), PUBLISHED))


@pytest.fixture(scope="module")
def at(results: MnistResults) -> dict[int, int]:
    return {int(step): i for i, step in enumerate(results.steps)}


def test_published_run_is_whole(results: MnistResults):
    assert results.run.complete
    assert len(results.steps) == 25
    assert results.eigenvalues.shape == (25, 5_994)


def test_training(results: MnistResults, at: dict[int, int]):
    history, measures = results.history, results.measures
    accuracy = dict(zip(history["step"].tolist(), history["test_accuracy"], strict=True))
    loss = dict(zip(history["step"].tolist(), history["train_loss"], strict=True))
    assert accuracy[0] == pytest.approx(0.1, abs=0.01)
    assert accuracy[50] > 0.85
    assert loss[469] > 10 * loss[14_070]
    for key in ("trace", "largest_eigenvalue"):
        before, peak, epoch = measures[key][[at[0], at[50], at[469]]]
        assert peak > 10 * before
        assert epoch < 0.25 * peak
    late = measures["largest_eigenvalue"][at[938] :]
    assert (np.abs(np.log2(late / measures["largest_eigenvalue"][0])) < 1).all()
    assert np.ptp(measures["n_negative"] / 5_994) < 0.01
    assert measures["n_negative"].mean() / 5_994 == pytest.approx(0.4, abs=0.03)
    assert measures["smallest_eigenvalue"].min() < 10 * measures["smallest_eigenvalue"][-1]


def test_nine_stand_apart_at_step_50_only(results: MnistResults, at: dict[int, int]):
    counts, scores = results.outliers
    assert counts[at[50]] == counts[at[100]] == 9
    assert (scores > results.threshold).tolist() == [step == 50 for step in at]
    narrow = dendrogram(results.eigenvalues[at[50]]).relative_gaps(5)[::-1][:100]
    assert narrow.argmax() + 1 == 9
    plateau = results.cluster_counts[at[50]] == 10
    elsewhere = [results.cluster_counts[at[step]] == 10 for step in (0, 469, 14_070)]
    assert plateau.sum() > 2 * max(other.sum() for other in elsewhere)


def test_no_second_level(results: MnistResults, at: dict[int, int]):
    for step in (0, 50, 469, 14_070):
        scores = tail_scores(results.eigenvalues[at[step]], search=150)
        above = np.flatnonzero(scores > tail_threshold(search=150)) + 1
        assert above.tolist() == ([9] if step == 50 else [])


def test_layers(results: MnistResults):
    assert results.layers == ["conv1", "conv2", "linear"]
    compositions = results.compositions(30)
    nine = compositions["step 50"][1]
    assert nine[:9, 2].mean() > 0.8
    assert nine[9:, 2].mean() < 0.65
    for label in ("step 0", "step 14,070"):
        shares = compositions[label][1].mean(0)
        assert np.abs(shares - results.parameter_share).max() < 0.15
        assert shares[0] > 1.5 * results.parameter_share[0]


def test_gradient_and_eigenspace(results: MnistResults, at: dict[int, int]):
    whole = results.gradient_fractions["all training data"]
    own = results.gradient_fractions["the Hessian's samples"]
    assert max(whole[at[10]], own[at[10]]) < 0.12
    assert own[at[50] :].min() > 0.6
    assert whole[at[50] : -1].min() > 0.55
    assert whole[-1] < 0.3 < 0.9 < own[-1]
    overlaps = results.subspace_overlaps
    successive = np.diagonal(overlaps, 1)[at[50] :]
    assert successive.min() > 0.3
    assert successive.max() < 0.9
    assert 0.45 < np.median(successive) < 0.75
    assert overlaps[: at[469] + 1, -1].max() < 0.36


def test_few_images_decide_the_late_sharpness(results: MnistResults):
    draws = results.draw_headlines[LARGEST]
    assert draws.max() > 100 * draws.min()
    assert draws.min() < results.quoted[LARGEST] < draws.max()
    gaps, small = results.draw_headlines[GAP], results.draw_headlines[SMALL]
    assert gaps.min() < results.quoted[GAP] < gaps.max()
    assert 0.9 * small.min() < results.quoted[SMALL] < small.min()
    carry = results.sweep_measures["images that carry λ"]
    assert carry[-1, 0] < 1.1
    assert carry[0, -1] > 1_000


def test_early_samples_agree_and_late_ones_do_not(results: MnistResults):
    measures = results.sweep_measures
    assert (measures["outliers"][0] == 9).all()
    assert (measures["score of their gap"][0, 2:] > results.threshold).all()
    assert np.ptp(measures[LARGEST][0]) < 0.15 * measures[LARGEST][0, -1]
    assert measures[LARGEST][-1, 2] > 1.8 * measures[LARGEST][-1, -1]
    assert measures["images that carry λ"][-1, 2] < 5
    assert 100 < measures["images that carry λ"][-1, -1] < 1_000
    assert results.quoted[LARGEST] > 10 * measures[LARGEST][-1, -1]


def test_more_samples_bring_the_literature_back(results: MnistResults):
    counts, scores = (results.sweep_measures[key] for key in ("outliers", "score of their gap"))
    assert counts[1, -1] == 9
    assert results.threshold > scores[1, -1] > 4
    assert counts[2, -1] == 10
    assert (scores[1:] < results.threshold).all()
    assert results._sweep[-1][-1]["gradient_cosines"][-10:].sum() > 0.9
    shares = results.sweep_shares
    assert shares["N = 50"][0] > 0.99
    assert shares["N = 60,000"][-1] == pytest.approx(0.25, abs=0.05)
