"""Claims about shuffled labels, on results that are made up and on those that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from hdlib.experiments.fiedler.claims.labels import CLAIMS
from hdlib.experiments.fiedler.claims.modules import CLASSES, UNITS
from hdlib.experiments.fiedler.labels.config import FiedlerLabelsGrid
from hdlib.experiments.fiedler.labels.recipe import EXPERIMENT, PARTS
from hdlib.experiments.fiedler.labels.results import (
    LABELS,
    SHUFFLED,
    TRUE,
    FiedlerLabelsResults,
    published_labels,
)
from hdlib.experiments.fiedler.results import PublishedFiedler

DECIDE = {claim.name: claim.decide for claim in CLAIMS}


class Made(FiedlerLabelsResults):
    """Three seeds and three checkpoints, at which modules follow what the parametrisation says."""

    def __init__(self) -> None:
        self.seeds, self.steps, self.null_steps = [1, 2, 3], np.array([0, 5, 9]), np.array([0])
        self.epoch = 1
        self.truths = dict.fromkeys(("layers", UNITS, CLASSES), np.zeros(1, dtype=np.int64))
        keys = [*product(LABELS, PARTS, self.truths)]
        self.agreement = {key: np.zeros((3, 3)) for key in keys}
        self.null_agreement = {key: np.zeros((3, 1)) for key in keys}
        for labels in LABELS:
            self.agreement[labels, "R", UNITS] = np.full((3, 3), 0.9)
            self.agreement[labels, "H", UNITS][:, 0] = 0.9
        self.agreement[SHUFFLED, "H", UNITS][:] = 0.9
        self.agreement[TRUE, "G", CLASSES] = np.array([[0.8, 0.5, 0.4]] * 3)
        self.agreement[SHUFFLED, "G", CLASSES] = np.array([[0.8, 0.1, 0.8]] * 3)
        self.ratios = {TRUE: np.array([[0.8, 0.1, 0.05]] * 3), SHUFFLED: np.full((3, 3), 2.0)}
        self.modularity_gain = {labels: np.full((3, 1, 3), 4.0) for labels in LABELS}
        self.accuracy = {TRUE: np.full((3, 3), 0.9), SHUFFLED: np.full((3, 3), 0.1)}


@dataclass(frozen=True)
class Published(PublishedFiedler):
    """Published runs of which only those with both kinds of labels are looked at."""

    found: FiedlerLabelsResults

    @property
    def labels(self) -> FiedlerLabelsResults:
        return self.found


def holds(name: str, results: FiedlerLabelsResults) -> bool:
    return DECIDE[name](Published(None, None, results)).holds  # pyright: ignore


@pytest.mark.parametrize("name", DECIDE)
def test_it_holds_where_modules_are_parametrisation(name: str):
    assert holds(name, Made())


def test_parts_without_classes_needs_units_and_classes_without_learning():
    for labels, part, truth, value in (
        (SHUFFLED, "R", UNITS, 0.2),
        (SHUFFLED, "G", CLASSES, 0.3),
        (TRUE, "G", CLASSES, 0.9),
    ):
        results = Made()
        results.agreement[labels, part, truth][:, -1] = value
        assert not holds("parts-without-classes", results)
    results = Made()
    results.agreement[SHUFFLED, "G", CLASSES][2, 1] = 0.6
    assert not holds("parts-without-classes", results)
    results = Made()
    results.accuracy[SHUFFLED][0, 1] = 0.5
    assert not holds("parts-without-classes", results)


def test_residual_decides_needs_one_rule_for_all():
    for labels, step, value in ((SHUFFLED, 1, 0.1), (TRUE, 1, 0.9)):
        results = Made()
        results.agreement[labels, "H", UNITS][0, step] = value
        assert not holds("residual-decides", results)
    results = Made()
    results.ratios[TRUE][:, 1] = 0.9
    results.ratios[TRUE][0, 0] = 0.1
    assert not holds("residual-decides", results)


def test_not_the_degrees_needs_a_null_that_finds_nothing():
    results = Made()
    results.null_agreement[TRUE, "G", CLASSES][1, 0] = 0.3
    assert not holds("not-the-degrees", results)
    results = Made()
    results.modularity_gain[SHUFFLED][2, 0, 1] = 0.9
    assert not holds("not-the-degrees", results)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds_on_the_stored_runs(claim):
    assert all(EXPERIMENT.open(config).complete for config in FiedlerLabelsGrid().configs)
    runs = Published(None, None, published_labels())  # pyright: ignore
    assert claim.decide(runs).holds, claim.decide(runs).values
    assert "{" not in claim.shown(runs)
