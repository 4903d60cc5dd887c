"""Claims about shuffled labels, on results that are made up and on those that are stored."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hdlib.experiments.mnist.claims.labels import CLAIMS
from hdlib.experiments.mnist.gaps import PREDICTED
from hdlib.experiments.mnist.labels.config import MnistLabelsGrid
from hdlib.experiments.mnist.labels.recipe import EXPERIMENT
from hdlib.experiments.mnist.labels.results import (
    LABELS,
    SHUFFLED,
    TRUE,
    MnistLabelsResults,
    paired_p,
    published_labels,
)
from hdlib.experiments.mnist.labels.tables import label_panels, labels_table, size_table
from hdlib.experiments.mnist.results import PublishedMnist
from hdlib.figures import curves
from hdlib.measures import GapTest

DECIDE = {claim.name: claim.decide for claim in CLAIMS}
STEPS = [0, 5, 10, 20, 30, 50, 70, 100, 200, 469]


def scored(score: float) -> GapTest:
    return GapTest(PREDICTED, score, threshold=(1.5, 2.0), p=0.1)


class Made(MnistLabelsResults):
    """Five networks of each kind with gaps at the given steps, and the accuracies of each kind."""

    def __init__(self, true: list[int], shuffled: list[int], *, learnt: float = 0.1) -> None:
        self.seeds, self.steps, self.images = [42, 43, 44, 45, 46], np.array(STEPS), 1_000
        noise = np.random.default_rng(0).uniform(0.2, 0.8, (2, 5, len(STEPS)))
        rows = zip((TRUE, SHUFFLED), (true, shuffled), noise, strict=True)
        self.calibrated = {k: v + 4 * np.isin(STEPS, at) for k, at, v in rows}
        self.scores = {labels: 2 * values for labels, values in self.calibrated.items()}
        self.found = {labels: values > 2 for labels, values in self.calibrated.items()}
        self.apart = {labels: np.full((5, len(STEPS)), 0.1) for labels in LABELS}
        self.shared = {labels: np.full((5, len(STEPS)), 20.0) for labels in LABELS}
        accuracy = np.full((5, len(STEPS)), 0.1)
        self.accuracy = {TRUE: accuracy + 0.8, SHUFFLED: np.maximum(accuracy, learnt)}
        self.by_size = {
            (labels, step, images): [scored(score)] * seeds
            for labels, step in product(LABELS, (50, 200))
            for images, seeds, score in ((1_000, 5, 0.5), (10_000, 5, 2.5), (60_000, 5, 4.0))
        }


def holds(name: str, labels: MnistLabelsResults) -> bool:
    runs = PublishedMnist()
    runs.labels = labels
    return DECIDE[name](runs).holds


def test_nine_without_classes_needs_the_gap_with_labels_that_cannot_be_learnt():
    assert holds("nine-without-classes", Made([50], [10]))
    assert not holds("nine-without-classes", Made([10, 50], [50]))
    assert not holds("nine-without-classes", Made([50], [10], learnt=0.5))


def test_nine_outputs_needs_one_feature_that_is_shared():
    assert holds("nine-outputs", Made([], []))
    for name, value in (("apart", 0.5), ("shared", 2.0)):
        results = Made([], [])
        getattr(results, name)[SHUFFLED][3, 2] = value
        assert not holds("nine-outputs", results)


LATE = [30, 50, 70, 100, 200]


@pytest.mark.parametrize(
    ("true", "shuffled", "expected"),
    [
        (LATE, [10], True),
        (LATE, [30], True),
        (LATE, [30, 50], False),
        (LATE, LATE, False),
        (LATE[1:], [], False),
        ([10], [10], False),
    ],
)
def test_nine_stays_with_classes_where_it_stays_and_mostly_not_without(true, shuffled, expected):
    assert holds("nine-stays-with-classes", Made(true, shuffled)) == expected


def test_nine_from_all_images_needs_most_of_the_networks_and_no_fewer_images():
    assert holds("nine-from-all-images", Made([], []))
    for images, score in ((1_000, 3.0), (60_000, 1.0)):
        results = Made([], [])
        results.by_size[SHUFFLED, 200, images] = [scored(score)] * 3 + [scored(2.5)] * 2
        assert not holds("nine-from-all-images", results)


def test_nine_before_training_needs_most_of_the_networks():
    assert holds("nine-before-training", Made([0], []))
    assert not holds("nine-before-training", Made([5], [0]))


def test_signs_of_paired_differences():
    assert paired_p(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(1 / 32)
    assert paired_p(np.array([-1.0, -2, -3])) == 1
    assert paired_p(np.array([1.0, -1])) == pytest.approx(3 / 4)


def test_table_and_panels_show_what_is_there():
    results = Made([50], [10])
    lines = labels_table(results).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == [str(step) for step in STEPS]
    assert "| 0 of 5 |" in lines[2]
    assert "| 5 of 5 |" in lines[2]
    assert size_table(results).splitlines()[0].count("N = ") == 3
    assert "5 of 5 (2.5)" in size_table(results).splitlines()[2]
    panels = label_panels(results)
    drawn = curves(panels).axes[1].lines
    assert any(np.array_equal(line.get_ydata(), results.calibrated[SHUFFLED][2]) for line in drawn)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds_on_the_stored_runs(claim):
    if not all(EXPERIMENT.open(config).complete for config in MnistLabelsGrid().configs):
        pytest.skip("the runs of this grid are not stored")
    runs = PublishedMnist()
    runs.labels = published_labels()
    assert claim.decide(runs).holds, claim.decide(runs).values
    assert "{" not in claim.shown(runs)
