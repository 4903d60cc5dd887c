"""Modules with true and shuffled labels at a small size: what a run holds, and what it is of."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F

from hdlib.clustering import fiedler_tree
from hdlib.curvature import gauss_newton, hessian
from hdlib.experiments.fiedler.labels.config import FiedlerLabelsConfig, FiedlerLabelsGrid
from hdlib.experiments.fiedler.labels.recipe import EXPERIMENT, MODULES, NULLS
from hdlib.experiments.fiedler.labels.results import SHUFFLED, TRUE, FiedlerLabelsResults
from hdlib.experiments.fiedler.labels.tables import agreement_panels, labels_table, null_table
from hdlib.experiments.fiedler.measures import total
from hdlib.experiments.lenet import hessian_data, model_at
from hdlib.figures import curves

FIELDS = {"dataset": "digits", "n_epochs": 1, "width": 1, "hessian_samples": 30}
GRID = FiedlerLabelsGrid(**FIELDS, seeds=(3, 4), modules=2, nulls=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> FiedlerLabelsResults:
    root = tmp_path_factory.mktemp("root")
    return FiedlerLabelsResults([EXPERIMENT.run(config, root=root) for config in GRID.configs])


def test_they_are_complete_and_can_be_checked(results):
    assert results.steps.tolist() == [0, 10]
    assert results.null_steps.tolist() == [10]
    for run in results.runs.values():
        assert run.complete
        for stage, step in ((MODULES, 10), (NULLS, 10)):
            assert all(error <= allowed for _, error, allowed in stage.check(run, step))


def test_modules_are_those_of_the_hessian_and_of_its_parts(results):
    run = results.runs[3, True]
    model, data = model_at(run, 10), hessian_data(run, 30)
    H = hessian(model, F.cross_entropy, data).numpy()
    G = gauss_newton(model, F.cross_entropy, data).numpy()
    stored = run.arrays(MODULES, 10)
    for at, matrix in enumerate((H, G, H - G)):
        tree = fiedler_tree(matrix)
        assert stored["total"][at] == pytest.approx(total(matrix))
        assert stored["modularity"][at] == pytest.approx(tree.modularity, rel=1e-6)
    np.testing.assert_array_equal(
        stored["modules"][1], fiedler_tree(G).cut(stored["modules"][1].max() + 1)
    )


def test_before_training_labels_change_the_residual_alone(results):
    for seed in results.seeds:
        true, shuffled = (results.modules((seed, key), 0) for key in (False, True))
        np.testing.assert_array_equal(true["G"], shuffled["G"])
        assert (true["R"] != shuffled["R"]).any()
    assert results.across_labels["G"][:, 0].tolist() == [1.0, 1.0]
    assert results.across_labels["R"][:, 0].max() < 1


def test_results_fit_together(results):
    units, classes = results.compared
    assert (units, classes) == ("units of conv2", "classes of linear")
    for labels in (TRUE, SHUFFLED):
        assert results.agreement[labels, "R", units].shape == (2, 2)
        assert results.null_agreement[labels, "R", units].shape == (2, 1)
        assert results.modularity_gain[labels].shape == (2, 1, 3)
        assert results.ratios[labels].min() > 0
    assert labels_table(results).count("\n") == 1 + 2 * len(results.steps)
    assert null_table(results).count("\n") == 1 + 6
    titles = list(agreement_panels(results))
    axes = curves(agreement_panels(results), columns=2).axes[titles.index("G: true labels")]
    for row in results.agreement[TRUE, "G", classes]:
        assert any(np.array_equal(line.get_ydata(), row) for line in axes.lines)


def test_checkpoints_come_in_an_order_in_which_few_tell_of_all():
    order = FiedlerLabelsConfig().order
    assert order[:5] == [0, 50, 469, 14_070, 10]
    assert sorted(order) == FiedlerLabelsConfig().checkpoints
