"""What the MNIST chapter says in words, checked against its published run."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.experiments.mnist import MnistConfig
from hdlib.experiments.mnist_outliers import SECOND_LEVEL, nulls, predicted, searched, second_level
from hdlib.experiments.mnist_results import CARRY, GAP, LARGEST, RANK, SCORE, SMALL, MnistResults
from hdlib.experiments.mnist_seeds import SEEDS, symmetric_zeros, zeros
from hdlib.measures import GapTest, featureless_scores, spacing_ratio, tail_spacings
from hdlib.runs import PUBLISHED, Run


@pytest.fixture(scope="module")
def results() -> MnistResults:
    return MnistResults(Run(MnistConfig(), PUBLISHED))


@pytest.fixture(scope="module")
def second() -> MnistResults:
    """The first epoch from another seed."""
    return MnistResults(Run(SEEDS[1], PUBLISHED))


@pytest.fixture(scope="module")
def at(results: MnistResults) -> dict[int, int]:
    return {int(step): i for i, step in enumerate(results.steps)}


def test_published_run_is_whole(results: MnistResults):
    assert results.run.complete
    assert len(results.steps) == 25
    assert results.eigenvalues.shape == (25, 5_994)


def test_training(results: MnistResults, second: MnistResults, at: dict[int, int]):
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
        other = second.measures[key]
        assert 2 < other.max() / other[0] < 3
    late = measures["largest_eigenvalue"][at[938] :]
    assert (np.abs(np.log2(late / measures["largest_eigenvalue"][0])) < 1).all()
    assert np.ptp(measures["n_negative"] / 5_994) < 0.01
    assert measures["n_negative"].mean() / 5_994 == pytest.approx(0.4, abs=0.03)
    assert measures["smallest_eigenvalue"].min() < 10 * measures["smallest_eigenvalue"][-1]


def plateau(eigenvalues: np.ndarray, clusters: int) -> float:
    """Over what factor of ε there are so many clusters."""
    gaps = np.sort(np.diff(np.sort(eigenvalues)))[::-1]
    return gaps[clusters - 2] / gaps[clusters - 1]


def test_plateaus(results: MnistResults, at: dict[int, int]):
    eigenvalues = results.eigenvalues
    ten = plateau(eigenvalues[at[50]], 10)
    assert 3.8 < ten < 4.2
    assert 2.7 < plateau(eigenvalues[at[100]], 10) < plateau(eigenvalues[at[200]], 10) < 3.3
    assert 0.7 * ten < plateau(eigenvalues[-1], 6) < ten < plateau(eigenvalues[at[13_132]], 3)


def test_exact_zeros(results: MnistResults, second: MnistResults):
    assert {symmetric_zeros(config) for config in SEEDS} == {257}
    assert {zeros(eigenvalues) for eigenvalues in results.eigenvalues} == {257}
    counts = [zeros(eigenvalues) for eigenvalues in second.eigenvalues]
    assert counts[0] == 257 < min(counts[1:])


def test_repulsion_and_thresholds(results: MnistResults):
    ratios = [spacing_ratio(tail_spacings(eigenvalues)) for eigenvalues in results.eigenvalues]
    assert np.mean(ratios) == pytest.approx(0.526, abs=0.005)
    for null in nulls():
        assert spacing_ratio(null) == pytest.approx(0.535, abs=0.01)
        straight = np.quantile((null / null.mean(1, keepdims=True)).max(1), 0.95)
        assert 3.05 < straight < 3.25
    bent = [
        np.quantile(featureless_scores(null, eigenvalues).max(1), 0.95)
        for null in nulls()
        for eigenvalues in results.eigenvalues
    ]
    assert (round(min(bent), 1), round(max(bent), 1)) == (3.1, 4.4)


def standing(results: MnistResults, tests: list[GapTest]) -> dict[int, int]:
    """Step → rank of the gaps that stand out."""
    found = zip(results.steps.tolist(), tests, strict=True)
    return {step: test.rank for step, test in found if test.stands_out}


def test_nine_early_from_both_seeds(results: MnistResults, second: MnistResults):
    assert standing(results, results.searched_gaps) == {50: 9, 100: 78, 200: 9, 9_380: 28}
    early = [step for step in standing(results, results.predicted_gaps) if step <= 469]
    assert early == [50, 100, 200]
    found = standing(second, second.searched_gaps)
    assert {step: rank for step, rank in found.items() if step} == {10: 9, 50: 23, 100: 9, 200: 8}
    assert set(standing(second, second.predicted_gaps)) == {0, 10, 50, 100}
    scores = [results.searched_gaps[i].score for i, s in enumerate(results.steps) if s != 50]
    assert max(scores) < 4.3 < 9.9 < results.searched_gaps[2].score
    nine = [round(gap.score, 1) for gap in second.predicted_gaps]
    assert nine == [3.2, 7.6, 2.1, 5.2, 1.4, 0.9]


def test_late_gaps_are_few(results: MnistResults, at: dict[int, int]):
    late = slice(at[938], None)
    assert len(results.steps[late]) == 19
    assert sum(gap.p < 0.05 for gap in results.searched_gaps[late]) == 2
    assert sum(gap.p < 0.05 for gap in results.predicted_gaps[late]) == 3


def test_second_level_is_open(results: MnistResults, second: MnistResults):
    assert not [e for e in results.eigenvalues if second_level(e).p < 0.05]
    found = [second_level(eigenvalues).p < 0.05 for eigenvalues in second.eigenvalues]
    assert second.steps[found].tolist() == [0, 469]
    assert (SECOND_LEVEL[0], SECOND_LEVEL[-1]) == (81, 100)
    more = [second_level(entry["eigenvalues"]) for entry in results._sweep[0][3:]]
    assert [test.rank for test in more] == [89, 92]
    assert max(test.p for test in more) < 0.05


def test_layers(results: MnistResults, second: MnistResults):
    assert results.layers == ["conv1", "conv2", "linear"]
    compositions = results.compositions(30)
    nine = compositions["step 50"][1]
    assert nine[:9, 2].mean() > 0.8
    assert nine[9:, 2].mean() < 0.65
    for spectrum in (second._spectra[1], second._spectra[3]):
        assert spectrum["layer_weights"][-9:, 2].mean() > 0.7
    for label in ("step 0", "step 14,070"):
        shares = compositions[label][1].mean(0)
        assert np.abs(shares - results.parameter_share).max() < 0.15
        assert shares[0] > 1.5 * results.parameter_share[0]


def test_gradient_and_eigenspace(results: MnistResults, at: dict[int, int]):
    whole = results.gradient_fractions["all training data"]
    own = results.gradient_fractions["the Hessian's samples"]
    assert 0.45 < min(whole[0], own[0]) < max(whole[0], own[0]) < 0.6
    assert max(whole[at[10]], own[at[10]]) < 0.12
    assert own[at[50] :].min() > 0.6
    assert whole[at[50] : -1].min() > 0.55
    assert whole[-1] < 0.3 < 0.9 < own[-1]
    overlaps = results.subspace_overlaps
    successive = np.diagonal(overlaps, 1)[at[50] :]
    assert successive.min() == pytest.approx(0.38, abs=0.01)
    assert successive.max() < 0.85
    assert overlaps[: at[469] + 1, -1].max() < 0.36


def test_few_images_decide_the_late_sharpness(results: MnistResults):
    draws = results.draw_headlines[LARGEST]
    assert draws.max() > 100 * draws.min()
    assert draws.min() < results.quoted[LARGEST] < draws.max()
    gaps, small = results.draw_headlines[GAP], results.draw_headlines[SMALL]
    assert gaps.min() < results.quoted[GAP] < gaps.max()
    assert 0.9 * small.min() < results.quoted[SMALL] < small.min()
    carry = results.sweep_measures[CARRY]
    assert carry[-1, 0] < 1.1
    assert carry[0, -1] > 1_000


def test_early_samples_agree_and_late_ones_do_not(results: MnistResults):
    measures = results.sweep_measures
    assert (measures[RANK][0] == 9).all()
    assert np.ptp(measures[LARGEST][0]) < 0.15 * measures[LARGEST][0, -1]
    nine = np.array([entry["eigenvalues"][-9:] for entry in results._sweep[0]])
    assert np.abs(nine / nine[-1] - 1).max() < 0.4
    assert measures[CARRY][0, -1] > 2_000
    assert measures[LARGEST][-1, 2] > 1.8 * measures[LARGEST][-1, -1]
    assert measures[CARRY][-1, 2] < 5
    assert 100 < measures[CARRY][-1, -1] < 1_000
    assert results.quoted[LARGEST] > 10 * measures[LARGEST][-1, -1]


def test_more_samples_bring_the_literature_back(results: MnistResults):
    ranks, scores = results.sweep_measures[RANK], results.sweep_measures[SCORE]
    assert ranks[1, 3:].tolist() == [9, 9]
    assert scores[1, -1] == pytest.approx(4.87, abs=0.01)
    epoch, last = ([entry["eigenvalues"] for entry in row] for row in results._sweep[1:])
    assert [searched(e).stands_out for e in epoch] == [True, False, False, True, True]
    assert searched(epoch[0]).rank == 25
    assert not predicted(epoch[2]).stands_out
    assert ranks[2, -1] == 10
    assert scores[2, -1] == pytest.approx(3.38, abs=0.01)
    assert 0.05 < searched(last[-1]).p < 0.07
    assert predicted(last[-1], 10).p <= 0.001
    assert not predicted(last[-1]).stands_out
    assert not any(predicted(last[3], rank).stands_out for rank in (9, 10))
    assert results._sweep[-1][-1]["gradient_cosines"][-10:].sum() > 0.9
    shares = results.sweep_shares
    assert shares["N = 50"][0] > 0.99
    assert shares["N = 60,000"][-1] == pytest.approx(0.25, abs=0.05)


def test_filters(results: MnistResults):
    filters = results.chosen_filters
    early, last = filters["step 50"], filters["step 14,070"]
    assert last.std() == pytest.approx(2 * early.std(), rel=0.05)
    assert 0.7 < (np.sign(early) == np.sign(last)).mean() < 0.8
