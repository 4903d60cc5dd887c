"""The Fiedler experiment at a small size: what a run holds, and that it can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F

from hdlib.clustering import algebraic_connectivity, fiedler_tree
from hdlib.curvature import gauss_newton, hessian, hessian_split, parameter_labels, parameter_layers
from hdlib.experiments.fiedler import recipe
from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.fiedler.measures import RATIOS, mixtures, total
from hdlib.experiments.fiedler.parts import (
    mixture_agreement,
    part_agreement,
    part_linkages,
    ratios,
)
from hdlib.experiments.fiedler.recipe import (
    COUPLINGS,
    MIXTURES,
    ORIGINALS,
    PARTS,
    PLANTED,
    RECOVERY,
    TREES,
    FiedlerRun,
)
from hdlib.experiments.fiedler.results import FiedlerResults
from hdlib.experiments.fiedler.trees import as_tree
from hdlib.experiments.lenet import TRAINING, hessian_data, model_at
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.mnist.recipe import EXPERIMENT as MNIST
from hdlib.models import LeNetTiny
from hdlib.store import file_name
from hdlib.store.formats import tensor_bytes
from hdlib.tasks import load_images
from hdlib.training import checkpoint_name

FIELDS = {
    "dataset": "digits",
    "n_epochs": 1,
    "width": 1,
    "hessian_samples": 50,
}
SMALL = FiedlerConfig(**FIELDS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FiedlerRun:
    return recipe.run(SMALL, root=tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def matrix(run: FiedlerRun) -> np.ndarray:
    data = hessian_data(run, SMALL.hessian_samples)
    last = SMALL.checkpoints[-1]
    return hessian(model_at(run, last), F.cross_entropy, data).numpy()


def test_its_training_is_that_of_the_mnist_run(run):
    other = MNIST.open(MnistConfig(**FIELDS), root=run.roots[0])
    assert other.stored(TRAINING).key == run.stored(TRAINING).key
    assert TRAINING.missing(other) == []
    assert run.complete
    assert not other.complete


def test_stored_trees_are_those_of_the_hessian(run, matrix):
    last = SMALL.checkpoints[-1]
    for stage, tree in (
        (TREES, fiedler_tree(matrix)),
        (ORIGINALS, fiedler_tree(matrix, laplacian="combinatorial", split="median")),
    ):
        stored = as_tree(run.arrays(stage, last))
        np.testing.assert_array_equal(stored.linkage, tree.linkage)
        np.testing.assert_allclose(stored.conductance, tree.conductance, rtol=1e-6)
        assert stored.n_modules == tree.n_modules
        assert all(error == 0 for _, error, _ in stage.check(run, last))


def test_stored_parts_are_those_of_the_hessian(run, matrix):
    data = hessian_data(run, SMALL.hessian_samples)
    last = SMALL.checkpoints[-1]
    curved = gauss_newton(model_at(run, last), F.cross_entropy, data).numpy()
    stored = run.arrays(PARTS, last)
    for name, part in (("gauss_newton", curved), ("residual", matrix - curved)):
        assert stored[f"{name}_total"] == pytest.approx(total(part), rel=1e-9)
    tree = fiedler_tree(curved)
    np.testing.assert_array_equal(stored["gauss_newton"], tree.cut(tree.n_modules))
    assert stored["gauss_newton_modularity"] == pytest.approx(tree.modularity, rel=1e-6)
    results = FiedlerResults(run)
    drawn = part_linkages(results)
    assert len(drawn) == 6
    np.testing.assert_array_equal(drawn[f"step {last:,}: H"], fiedler_tree(matrix).linkage)
    np.testing.assert_allclose(drawn[f"step {last:,}: Gauss–Newton"], tree.linkage, rtol=1e-6)
    np.testing.assert_allclose(ratios(results)[-1], total(matrix - curved) / total(curved))
    assert set(part_agreement(results)) == {"H", "G", "R"}
    assert mixture_agreement(results, last).keys() == part_agreement(results)["H"].keys()


def test_mixtures_reach_from_one_part_to_the_other():
    generator = np.random.default_rng(0)
    rows, columns = np.repeat([0, 1], 20), np.tile([0, 1], 20)
    noise = generator.random((40, 40))
    curved, bent, other = (
        (labels[:, None] == labels) + 0.02 * (noise + noise.T) for labels in (rows, columns, rows)
    )
    found = mixtures(curved / 100, bent, other)
    assert len(found["mixed"]) == len(RATIOS)
    assert found["shuffled_total"] == pytest.approx(total(other))
    first = found["mixed"][0]
    for labels in (first, found["shuffled"]):
        assert len(set(zip(labels.tolist(), rows.tolist(), strict=True))) == 2


def test_the_gauss_newton_part_does_not_depend_on_the_labels(run):
    data = hessian_data(run, SMALL.hessian_samples)
    model = model_at(run, 0)
    other = data._replace(targets=(data.targets + 3) % 10)
    one, two = (gauss_newton(model, F.cross_entropy, d) for d in (data, other))
    np.testing.assert_array_equal(one, two)


def test_the_residual_couples_units_only_with_what_reads_them():
    model = LeNetTiny(2)
    split = load_images("digits").train
    data = split._replace(inputs=split.inputs[:50], targets=split.targets[:50])
    residual = hessian_split(model, F.cross_entropy, data).residual.numpy()
    labels = parameter_labels(model)
    conv2, linear = (labels.layer == labels.layers.index(name) for name in ("conv2", "linear"))
    block = residual[np.ix_(conv2, linear)]
    own = labels.output[conv2][:, None] == labels.channel[linear]
    assert np.abs(block[own]).max() > 0
    assert not block[~own].any()
    for layer in range(len(labels.layers)):
        within = labels.layer == layer
        assert not residual[np.ix_(within, within)].any()


def test_connectivity_of_network_and_layers(run, matrix):
    results = FiedlerResults(run)
    found = [values[-1] for values in results.connectivities.values()]
    layers = parameter_layers(model_at(run, 0)).values()
    expected = [algebraic_connectivity(matrix)]
    expected += [algebraic_connectivity(matrix[np.ix_(rows, rows)]) for rows in layers]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def files(run: FiedlerRun) -> dict[str, bytes]:
    return {
        f"{stage.name}/{name}": run.stored(stage).read(name)
        for stage in run.stages
        for name in run.stored(stage).names()
    }


def test_a_killed_run_ends_like_one_that_was_not(run, tmp_path: Path):
    again = recipe.run(SMALL, root=tmp_path)
    for stage, item in (
        (TREES, SMALL.checkpoints[1]),
        (COUPLINGS, SMALL.chosen[-1]),
        (MIXTURES, SMALL.checkpoints[0]),
        (RECOVERY, PLANTED),
    ):
        (again.stored(stage).home / file_name(item)).unlink()
    (again.stored(TREES).home / file_name(SMALL.checkpoints[0])).write_bytes(b"cut off")
    assert not recipe.EXPERIMENT.open(SMALL, root=tmp_path).complete
    again = recipe.run(SMALL, root=tmp_path)
    assert again.complete
    assert files(again) == files(run)


def test_a_tree_belongs_to_its_weights(tmp_path: Path):
    """Of other weights there is another tree, though its file is whole."""
    other = recipe.run(SMALL, root=tmp_path)
    step = SMALL.checkpoints[-1]
    name, before = checkpoint_name(step), as_tree(other.arrays(TREES, step)).linkage
    weights = {key: value * 1.1 for key, value in other.tensors(TRAINING, name).items()}
    with other.stored(TRAINING).writing({}):
        other.stored(TRAINING).write(name, tensor_bytes(weights))
    assert file_name(step) in TREES.missing(other)
    other = recipe.run(SMALL, root=tmp_path)
    assert not np.array_equal(as_tree(other.arrays(TREES, step)).linkage, before)


def test_results_fit_together(run):
    results = FiedlerResults(run)
    n = len(results.labels.layer)
    for cut, tree in zip(results.modules, results.trees, strict=True):
        assert len(cut) == n
        assert cut.max() + 1 == tree.n_modules
    assert set(results.label_agreement) == set(results.null_agreement)
    labels = np.arange(n)
    assert results.agreement(labels, labels) == 1
    shares, sizes = results.module_shares()
    for label, share in shares.items():
        np.testing.assert_allclose(share.sum(1), 1)
        assert sizes[label].sum() == n
    couplings, bins = results.matrices()
    assert set(couplings) == set(bins)
    filters = results.filter_modules("conv1")
    assert all(len(modules) == SMALL.width for modules in filters.values())
