"""What the Fiedler chapter says in words, checked against its published runs."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.experiments.fiedler import FiedlerConfig
from hdlib.experiments.fiedler_results import SAMPLES, SUCCESSIVE, FiedlerResults
from hdlib.experiments.fiedler_seeds import SEEDS
from hdlib.runs import PUBLISHED, Run

UNITS, CLASSES = "units of conv2", "classes of linear"


@pytest.fixture(scope="module")
def results() -> FiedlerResults:
    return FiedlerResults(Run(FiedlerConfig(), PUBLISHED))


def test_published_runs_are_whole(results: FiedlerResults):
    assert results.run.complete
    assert len(results.steps) == 25
    assert all(tree.n_leaves == 5_994 for tree in results.trees)
    assert all(Run(config, PUBLISHED).complete for config in SEEDS)


def test_units_before_training_and_classes_after_fifty_steps(results: FiedlerResults):
    agreement = results.label_agreement
    early, later = results.steps <= 10, results.steps >= 50
    assert [results.trees[i].n_modules for i in np.flatnonzero(early)] == [16, 16]
    assert agreement[UNITS][early].min() > 0.9
    assert agreement[UNITS][later].max() < 0.1
    assert agreement[CLASSES][early].max() < 0.01
    assert agreement[CLASSES][later].min() > 0.25
    assert all(4 <= results.trees[i].n_modules <= 8 for i in np.flatnonzero(later))


def test_the_same_from_every_seed():
    for config in SEEDS:
        found = FiedlerResults(Run(config, PUBLISHED))
        steps = found.steps[found.steps <= 469]
        agreement = {name: values[: len(steps)] for name, values in found.label_agreement.items()}
        assert agreement[UNITS][steps <= 10].min() > 0.7
        assert agreement[UNITS][steps >= 50].max() < 0.15
        assert agreement[CLASSES][steps <= 10].max() < 0.15
        assert agreement[CLASSES][steps >= 50].min() > 0.25


def test_layers_and_the_null(results: FiedlerResults):
    assert np.abs(results.label_agreement["layers"]).max() < 0.1
    for values in results.null_agreement.values():
        assert np.abs(values).max() < 0.05
    modularity = results.modularity
    assert (modularity["tree"] > 5 * modularity["null"]).all()
    assert (results.null_connectivity > 0.9).all()


def test_connectivity(results: FiedlerResults):
    values = results.connectivities
    at = {int(step): i for i, step in enumerate(results.steps)}
    assert values["network"][at[469]] > 1.5 * values["network"][at[0]]
    assert (values["network"] < results.null_connectivity - 0.2).all()
    linear = values["linear"]
    assert linear[at[50]] == pytest.approx(linear[at[10]] / 2, rel=0.1)
    assert linear[at[14_070]] < 0.1 < linear[at[469]]


def test_trained_modules_are_not_reproducible(results: FiedlerResults):
    samples = results.stability[SAMPLES]
    first, fifty, _, last = samples[~np.isnan(samples)]
    assert first > 0.9
    assert 0.4 < fifty < 0.6
    assert last < 0.1
    successive = results.stability[SUCCESSIVE]
    assert successive[1] > 0.8
    assert successive[2:].max() < 0.5
    # The classes show with other samples, too.
    cells = [line.split(" | ") for line in results.agreement_table().splitlines()]
    others = next(row for row in cells if row[0] == f"| {CLASSES}, other samples")
    assert min(float(cell.strip(" |")) for cell in others[2:]) > 0.25


def test_the_tree_of_the_original_work_finds_neither(results: FiedlerResults):
    for label, tree in results.originals.items():
        clusters = tree.cut(results.trees[results.chosen[label]].n_modules)
        for name in (UNITS, CLASSES):
            assert results.agreement(clusters, results._label_sets[name]) < 0.2


def test_planted_blocks(results: FiedlerResults):
    rows = [line.strip("| ").split(" | ") for line in results.recovery_table().splitlines()[2:]]
    scores = {(method, kind): np.array(cells, float) for method, kind, *cells in rows}
    ours, theirs = (scores[method, "all"] for method in ("normalised, ncut", "SpectralClustering"))
    assert (ours >= theirs).all()
    halved = scores["combinatorial, median", "unequal blocks"]
    assert (halved < 0.5 * scores["normalised, ncut", "unequal blocks"]).all()


def test_no_parameter_is_uncoupled(results: FiedlerResults):
    assert not any(arrays["isolated"].any() for arrays in results._arrays)
