"""The planted experiment at a small size: what its runs hold, and that it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hdlib import fiedler_tree, hessian_split
from hdlib.experiments.planted.basis import module_purity, random_basis
from hdlib.experiments.planted.config import GRIDS, PlantedConfig, PlantedGrid
from hdlib.experiments.planted.measures import curvatures, eigenpairs, modules, movements, shares
from hdlib.experiments.planted.recipe import (
    BASIS,
    CIRCUITS,
    EXPERIMENT,
    SPECTRA,
    STATISTICS,
    TRAINING,
    PlantedRun,
)
from hdlib.experiments.planted.results import PlantedResults, rand_index
from hdlib.experiments.planted.statistics import eigenvalue_statistics
from hdlib.experiments.planted.training import weighted_loss
from hdlib.measures.functions import output_changes
from hdlib.store import ConfigError

SIZES: dict[str, Any] = {"moduli": (5, 7), "widths": (4, 5), "samples": 80, "log_every": 20}
SMALL = PlantedGrid(**SIZES, n_steps=100, alphas=(0.0, 1.0), seeds=(0,), top=12, rotations=20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def runs(root: Path) -> list[PlantedRun]:
    return [EXPERIMENT.run(config, root=root) for config in SMALL.configs]


@pytest.fixture(scope="module")
def results(runs: list[PlantedRun]) -> PlantedResults:
    return PlantedResults(SMALL, runs)


@pytest.mark.parametrize(
    "fields",
    [
        {"alpha": 0.3},
        {"alpha": 0.3, "unit": "relu", "rho": 10.0},
        {"alpha": 1.0, "frequencies": 2},
        {"alpha": 0.0, "heads": (2, 1)},
    ],
    ids=["quadratic", "relu", "waves", "heads"],
)
def test_closed_form_is_the_hessian(fields: dict[str, Any]):
    """Against `hdlib.hessian_split`, which knows nothing of the network but its products."""
    config = PlantedConfig(**SIZES, **fields)
    model = config.model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.manual_seed(1))
    task = config.task
    found = curvatures(config, model)
    data = config.encode(task.train), task.train.targets
    expected = hessian_split(model, weighted_loss(config), data)
    alive = torch.from_numpy(found.alive)
    for matrix, reference in (
        (sum(found.gauss_newton), expected.gauss_newton),
        (found.residual, expected.residual),
    ):
        kept = reference[alive][:, alive].numpy()
        assert np.abs(matrix - kept).max() < 1e-13 * np.abs(kept).max()
        assert np.abs(reference.numpy()).sum() == pytest.approx(np.abs(kept).sum())


def test_movement_is_that_of_the_outputs():
    config = PlantedConfig(**SIZES, alpha=0.5)
    model = config.model().double()
    inputs = config.encode(config.task.train).double()
    directions = np.random.default_rng(0).standard_normal((len(model.factors()), 3))
    changes = output_changes(model, inputs, directions)[..., 5:]
    centred = changes - changes.mean(2, keepdims=True)
    expected = (centred**2).sum(2).mean(1)
    matrix = movements(config, model.float())[1]
    assert np.allclose((directions * (matrix @ directions)).sum(0), expected, rtol=1e-5)


def test_uncoupled_eigenvectors_lie_in_one_block(runs):
    run = runs[1]
    model = TRAINING.model(run, 0)
    found = curvatures(run.config, model)
    blocks = model.circuits().numpy()[found.alive]
    values, vectors = eigenpairs(found, blocks)
    assert np.allclose(found.hessian @ vectors, vectors * values, atol=1e-12)
    inside = np.stack([(vectors[blocks == c] ** 2).sum(0) for c in (0, 1)])
    assert np.allclose(inside.max(0), 1)
    function = shares(movements(run.config, model), vectors)
    known = np.isfinite(function[:, 0])
    assert np.array_equal(function[known].argmax(1), inside.argmax(0)[known])


def test_symmetries_are_counted_in_advance(results):
    for alpha in (0.0, 1.0):
        counts, expected = results.zeros(alpha, "untrained")
        assert counts.tolist() == [expected]
    assert SMALL.configs[1].symmetries == 2 * (4 + 5) + (4 + 1) + (5 + 1)
    assert SMALL.configs[0].symmetries == 4 * 9 + 2 * (9 + 1)


@pytest.mark.parametrize("k", [2, 3])
def test_modules_are_the_first_cuts_of_the_tree(k: int):
    generator = np.random.default_rng(0)
    blocks = np.repeat(np.arange(k), 12)
    matrix = generator.standard_normal((12 * k, 12 * k))
    matrix = (matrix + matrix.T) * np.where(blocks[:, None] == blocks, 1.0, 0.05)
    found = modules(matrix, k)
    assert rand_index(found, fiedler_tree(matrix).cut(k)) == 1
    assert rand_index(found, blocks) == 1


def test_modules_leave_out_what_is_not_coupled():
    matrix = np.zeros((7, 7))
    matrix[:3, :3] = matrix[3:6, 3:6] = 1
    assert modules(matrix, 2).tolist() == [0, 0, 0, 1, 1, 1, -1]


def test_module_purity():
    planted = np.repeat([0, 1], 20)
    assert module_purity(planted, np.eye(40), planted) == 1
    turned = module_purity(planted, random_basis(40, 0), planted)
    assert 0.5 <= turned < 0.65


def test_statistics_of_what_is_known():
    """Two spectra far apart are found by the widest gap; laid together they are not."""
    generator = np.random.default_rng(0)
    matrices = [generator.standard_normal((150, 150)) for _ in range(2)]
    first, second = (np.linalg.eigvalsh(m @ m.T) + 1e-3 for m in matrices)
    function = np.repeat([[1.0, 0.0], [0.0, 1.0]], 150, axis=0)

    def statistics(values: np.ndarray) -> dict[str, np.ndarray]:
        order = np.argsort(values)
        arrays = {"eigenvalues": values[order], "function": function[order]}
        return eigenvalue_statistics(arrays, uncoupled=True)

    together = statistics(np.concatenate([first, second]))
    assert together["best"][0] < 0.2
    assert together["neighbours"][2] > 0.8
    assert together["scaled"][-1, 1] == pytest.approx([1, 1], abs=0.1)
    apart = statistics(np.concatenate([first, second + 1e4]))
    assert apart["best"][0] == apart["two"][0] == 1


def test_runs_recompute_what_they_say(runs):
    for run in runs:
        assert run.complete
        for stage in (TRAINING, SPECTRA, STATISTICS, BASIS, CIRCUITS):
            for item in stage.checked(run):
                assert all(error <= allowed for _, error, allowed in stage.check(run, item))


def test_results_have_a_place_for_each_network(results):
    assert results.alphas == [0.0, 1.0]
    assert results.followed_steps(1.0) == SMALL.checkpoints
    assert results.truth.tolist() == [0] * 5 + [1] * 7
    assert results.statistic("deciles", 0.0, "end").shape == (1, 10)
    assert results.modules("gauss_newton", 0.0, "end").tolist() == [1.0]
    assert results.outputs(1.0, 50).shape == (1,)
    assert results.basis().shape == (1, 2)


def test_measuring_trains_nothing_anew():
    config = PlantedConfig()
    changed = {
        stage.name.partition("/")[2]
        for stage in EXPERIMENT.stages
        if stage.key(config) != stage.key(PlantedConfig(top=30, rotations=20, followed=True))
    }
    assert changed == {"circuits"}


def test_all_grids_are_what_they_are_called():
    assert GRIDS["main"] == PlantedGrid()
    assert {name: len(grid.configs) for name, grid in GRIDS.items()}["main"] == 30
    for grid in GRIDS.values():
        assert len(grid.seeds) >= 3


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"alphas_": 2}, "alphas_=2: unknown; planted has moduli, widths"),
        ({"moduli": (11, 2)}, "moduli.1=2: Input should be greater than or equal to 3"),
        ({"widths": (12,)}, "moduli, widths and heads must be of equally many circuits, got 2, 1"),
        ({"frequencies": 6}, "frequencies=6: at most 5, that of the least modulus"),
        ({"shuffled": (2,)}, "shuffled=[2]: circuits are 0 to 1"),
        ({"train_fraction": 0.001}, "train_fraction=0.001: leaves no pair to train on"),
        ({"followed": (0.5,)}, "followed=[0.5]: must be among alphas"),
        ({"seeds": (0, 0)}, "seeds=[0, 0]: must be different"),
    ],
)
def test_impossible_grids(fields: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as error:
        PlantedGrid(**fields)
    assert str(error.value).startswith(sentence)
