"""What the Fiedler chapter says in words, checked against its published runs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, leaves_list
from sklearn.metrics import adjusted_rand_score

from hdlib.experiments.fiedler import FiedlerConfig, mixtures_name, parts_name
from hdlib.experiments.fiedler_parts import RATIOS
from hdlib.experiments.fiedler_parts_results import (
    mixture_agreement,
    part_agreement,
    part_linkages,
    ratios,
    totals,
)
from hdlib.experiments.fiedler_recovery import HALVED, TREE, scores, standard_error
from hdlib.experiments.fiedler_results import SAMPLES, SUCCESSIVE, FiedlerResults
from hdlib.experiments.fiedler_seeds import SEEDS
from hdlib.experiments.mnist.recipe import spectrum_name
from hdlib.runs import PUBLISHED, Run

UNITS, CLASSES = "units of conv2", "classes of linear"


@pytest.fixture(scope="module")
def results() -> FiedlerResults:
    return FiedlerResults(Run(FiedlerConfig(), PUBLISHED))


@pytest.fixture(scope="module")
def both(results: FiedlerResults) -> list[FiedlerResults]:
    return [results, *(FiedlerResults(Run(config, PUBLISHED)) for config in SEEDS[1:])]


def test_published_runs_are_whole(both: list[FiedlerResults]):
    assert [results.run.config.seed for results in both] == [42, 43]
    assert all(results.run.complete for results in both)
    assert [len(results.steps) for results in both] == [25, 6]
    assert all(tree.n_leaves == 5_994 for tree in both[0].trees)


def test_units_up_to_step_10_and_classes_loosely_from_50(both: list[FiedlerResults]):
    least = {42: 0.95, 43: 0.71}
    for results in both:
        agreement = results.label_agreement
        early, later = results.steps <= 10, results.steps >= 50
        assert agreement[UNITS][early].min() == pytest.approx(
            least[results.run.config.seed], abs=0.005
        )
        assert agreement[UNITS][later].max() < 0.1
        assert agreement[CLASSES][early].max() < 0.1
        assert agreement[CLASSES][later].min() > 0.27
        assert agreement[CLASSES][later].max() < 0.65


def test_modules_in_the_figures(results: FiedlerResults):
    counts = np.array([results.module_count(i) for i in range(len(results.steps))])
    assert counts[results.steps <= 10].tolist() == [16, 16]
    assert [counts[i] for i in results.chosen.values()] == [16, 6, 6, 6]
    first, *later = results.module_shares()[1].values()
    assert (first.min(), first.max()) == (321, 566)
    assert (min(s.min() for s in later), max(s.max() for s in later)) == (278, 2_270)
    frames = [len(set(m.tolist())) for m in results.filter_modules("conv1").values()]
    assert frames == [4, 1, 2, 4]
    frames = [len(set(m.tolist())) for m in results.filter_modules("conv2").values()]
    assert frames == [16, 3, 4, 4]


def test_the_outliers_open_at_another_step_in_the_second_seed(both: list[FiedlerResults]):
    gap = {}
    for step in (10, 50):
        values = both[1].trained.arrays(spectrum_name(step))["eigenvalues"][::-1]
        gap[step] = values[8] / values[9]
    assert gap[10] == pytest.approx(1.79, abs=0.005)
    assert gap[50] == pytest.approx(1.25, abs=0.005)


def test_each_part_keeps_its_groups(both: list[FiedlerResults]):
    for results in both:
        found = part_agreement(results)
        assert found["R"][UNITS].min() > 0.84
        assert np.abs(found["R"][CLASSES]).max() < 0.01
        assert found["G"][CLASSES].min() > 0.32
        assert found["G"][CLASSES].argmax() == 0
        assert found["G"][CLASSES][0] == pytest.approx(0.81, abs=0.005)
        assert found["G"][UNITS].max() < 0.13


def test_the_drawn_trees_have_the_stored_modules(results: FiedlerResults):
    drawn = part_linkages(results)
    for at, (title, part) in product(
        (0, -1), (("H", ""), ("Gauss–Newton", "gauss_newton"), ("residual", "residual"))
    ):
        step = int(results.steps[at])
        order = leaves_list(drawn[f"step {step:,}: {title}"])
        modules = results.run.arrays(parts_name(step))[part] if part else results.modules[at]
        # In the order of its tree every module is one run.
        assert np.count_nonzero(np.diff(modules[order])) == modules.max()


def test_sixteen_branches_of_the_residual_are_the_units(results: FiedlerResults):
    drawn = part_linkages(results)
    for step, low, high in (("0", 4.6, 6.2), ("14,070", 3.8, 5.6)):
        linkage = drawn[f"step {step}: residual"]
        pieces, branches, rest = np.split(linkage[::-1, 2], [10, 25])
        assert pieces.min() > 1e11
        assert low < branches.min() <= branches.max() < high
        assert rest.max() < 2.5
        clusters = fcluster(linkage, 3, "distance")
        sizes = np.bincount(clusters)[1:]
        biases = leaves_list(linkage)[-10:]
        assert sorted(biases.tolist()) == list(range(5_984, 5_994))
        assert sorted(sizes.tolist())[:10] == [1] * 10
        assert np.count_nonzero(sizes > 350) == len(sizes) - 10 == 16
        assert results.agreement(clusters, results.label_sets[UNITS]) > 0.97


def test_the_tree_of_the_hessian_is_like_that_of_one_part(both: list[FiedlerResults]):
    found = []
    for results in both:
        for at in (0, -1):
            stored = results.run.arrays(parts_name(int(results.steps[at])))
            found += [
                adjusted_rand_score(stored[part], results.modules[at])
                for part in ("residual", "gauss_newton")
            ]
    expected = [0.93, 0.09, 0.01, 0.96, 0.72, 0.18, 0.09, 0.60]
    assert found == pytest.approx(expected, abs=0.005)


def test_the_gauss_newton_part_grows_while_the_residual_stays(both: list[FiedlerResults]):
    for results, growth in zip(both, (11, 2), strict=True):
        steps, size = results.run.config.parts, totals(results)
        ten, fifty, last = steps.index(10), steps.index(50), len(steps) - 1
        assert size["G"][fifty] / size["G"][ten] == pytest.approx(growth, rel=0.06)
        assert size["R"][fifty] / size["R"][ten] == pytest.approx(1, abs=0.1)
        shrunk = {part: values[last] / values[fifty] for part, values in size.items()}
        assert shrunk["R"] < shrunk["G"] < 0.5
        assert ratios(results)[0] > 0.4
        assert ratios(results)[last] < 0.07


def test_the_mixture_decides(both: list[FiedlerResults]):
    few, many = RATIOS.index(0.02), RATIOS.index(0.7)
    for results in both:
        steps = results.run.config.checkpoints
        own = part_agreement(results)["G"][CLASSES]
        for step, at in ((steps[0], 0), (steps[-1], -1)):
            mixed = mixture_agreement(results, step)
            assert mixed[UNITS][many] > 0.84
            assert mixed[CLASSES][many] < 0.01
            assert mixed[UNITS][few] < 0.13
            assert mixed[CLASSES][few] == pytest.approx(own[at], abs=0.05)
            assert mixed[UNITS][RATIOS.index(0.2)] < 0.3


def test_shuffled_labels(both: list[FiedlerResults]):
    for results in both:
        steps = results.run.config.checkpoints
        before, after = (results.run.arrays(mixtures_name(step)) for step in (steps[0], steps[-1]))
        sums = [results.run.arrays(parts_name(step)) for step in (steps[0], steps[-1])]
        assert before["shuffled_total"] / sums[0]["residual_total"] == pytest.approx(0.5, abs=0.05)
        assert after["shuffled_total"] > sums[1]["gauss_newton_total"]
        assert results.agreement(after["shuffled"], results.label_sets[UNITS]) > 0.9
        label = UNITS if results.run.config.seed == 42 else CLASSES
        assert results.agreement(before["shuffled"], results.label_sets[label]) > 0.5


def test_layers_and_the_null(both: list[FiedlerResults]):
    for results in both:
        assert np.abs(results.label_agreement["layers"]).max() < 0.1
        for values in results.null_agreement.values():
            assert np.abs(values).max() < 0.05
        modularity = results.modularity
        assert (modularity["tree"] > 5 * modularity["null"]).all()
        assert (results.null_connectivity > 0.9).all()


def test_connectivity(both: list[FiedlerResults]):
    results, second = both
    values = results.connectivities
    at = {int(step): i for i, step in enumerate(results.steps)}
    network, linear = values["network"], values["linear"]
    assert network[[at[0], at[469]]] == pytest.approx([0.40, 0.65], abs=0.005)
    assert (network < results.null_connectivity - 0.2).all()
    assert linear[at[50]] == pytest.approx(linear[at[10]] / 2, rel=0.1)
    near = linear[at[50] : at[3_283] + 1]
    assert 0.24 < near.min() <= near.max() < 0.32
    assert linear[at[14_070]] < 0.1
    for name in ("conv1", "conv2"):
        assert values[name][-1] > values[name][0] + 0.1
    assert second.connectivities["network"][0] == pytest.approx(0.62, abs=0.005)
    assert not second.connectivities["network"][1:].any()


def test_uncoupled_parameters(both: list[FiedlerResults]):
    counts = [[results.uncoupled(i) for i in range(len(results.steps))] for results in both]
    assert not any(counts[0])
    assert (counts[1][0], min(counts[1][1:]), max(counts[1])) == (0, 72, 172)
    # Ten weights read each number that is zero for every image.
    silent = [arrays["isolated"][-1] for arrays in both[1]._arrays[1:]]
    assert (min(silent), max(silent)) == (70, 120)
    assert not any(count % 10 for count in silent)


def test_trained_modules_are_not_reproducible(both: list[FiedlerResults]):
    results, second = both
    samples = results.stability[SAMPLES]
    assert samples[~np.isnan(samples)] == pytest.approx([0.97, 0.52, 0.34, 0.07], abs=0.005)
    assert second.stability[SAMPLES][0] == pytest.approx(0.63, abs=0.005)
    successive = results.stability[SUCCESSIVE]
    assert successive[1] == pytest.approx(0.85, abs=0.005)
    assert 0.035 < successive[2:].min() < successive[2:].max() < 0.45
    # The classes show with other samples, too.
    cells = [line.split(" | ") for line in results.agreement_table().splitlines()]
    others = next(row for row in cells if row[0] == f"| {CLASSES}, other samples")
    assert min(float(cell.strip(" |")) for cell in others[2:]) > 0.25


def test_the_tree_of_the_original_work_finds_neither(results: FiedlerResults):
    for label, tree in results.originals.items():
        clusters = tree.cut(results.trees[results.chosen[label]].n_modules)
        for name in (UNITS, CLASSES):
            assert results.agreement(clusters, results.label_sets[name]) < 0.2


def test_planted_blocks(both: list[FiedlerResults]):
    results, second = both
    for kind in ("all", "equal", "unequal"):
        found = scores(results.run, kind)
        ahead, error = found["difference"].mean(1), standard_error(found["difference"])
        np.testing.assert_array_equal(found["difference"], scores(second.run, kind)["difference"])
        if kind == "equal":
            assert ahead.max() <= 0
            assert (ahead[2:-1] < -3 * error[2:-1]).all()
            assert ahead.min() == pytest.approx(-0.07, abs=0.005)
            assert -2.5 < ahead[-1] / error[-1] < -1.5
        else:
            assert (ahead > 3 * error).all()
    found = scores(results.run, "all")["difference"]
    assert found.shape == (7, 20)
    assert found[-1].mean() == pytest.approx(0.03, abs=0.005)
    assert standard_error(found)[-1] == pytest.approx(0.01, abs=0.001)
    unequal = scores(results.run, "unequal")
    assert (unequal[HALVED].mean(1) < 0.5 * unequal[TREE].mean(1)).all()
