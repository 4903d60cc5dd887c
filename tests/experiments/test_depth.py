"""The depth experiment at a small size: what a run holds, and that it can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.depth import recipe, sharpness
from hdlib.experiments.depth.config import DepthConfig, DepthGrid
from hdlib.experiments.depth.recipe import EXACT, SPECTRA, TRAINING, DepthRun
from hdlib.experiments.depth.recipe import run as computed
from hdlib.experiments.depth.results import Network
from hdlib.models import encoded
from hdlib.store import ConfigError
from hdlib.store.verify import check_run
from hdlib.training import HISTORY, MIRRORED, OTHERS, checkpoint_name

SMALL = DepthConfig(
    p=11, width=16, depth=2, n_steps=60, log_every=10, sharpness_every=10, eigenpairs=4, exact=2
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DepthRun:
    return computed(SMALL, root=tmp_path_factory.mktemp("root"))


def dense(run: DepthRun, step: int) -> torch.Tensor:
    train = run.config.task.train
    data = encoded(train, run.config.encoding), train.targets
    return hessian(TRAINING.model(run, step), F.cross_entropy, data)


def test_the_published_networks_have_as_many_parameters_as_the_formula_says():
    sizes = [DepthConfig(depth=depth).n_parameters for depth in range(1, 8)]
    assert sizes == [12_897, 29_409, 45_921, 62_433, 78_945, 95_457, 111_969]


@pytest.mark.parametrize("encoding", ["raw", "standardised", "one_hot", "embedding"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_parameters_are_counted_without_the_network(depth, encoding):
    config = SMALL.model_copy(update={"depth": depth, "encoding": encoding})
    assert config.n_parameters == sum(p.numel() for p in config.model().parameters())


@pytest.mark.parametrize("depth", range(1, 8))
def test_spectra_are_those_of_the_matrix_and_not_zero_at_any_depth(depth, tmp_path: Path):
    config = SMALL.model_copy(update={"depth": depth, "n_steps": 20, "exact": 0})
    run = computed(config, root=tmp_path)
    history = TRAINING.history(run)
    for step in SPECTRA.steps(run):
        truth = np.linalg.eigvalsh(dense(run, step).numpy())
        arrays = run.arrays(SPECTRA, step)
        assert np.abs(truth).max() > 1e-2
        sure = arrays["residuals"] <= recipe.TOLERANCE * np.abs(truth).max()
        ends = np.r_[truth[:4], truth[-4:]]
        assert np.abs(arrays["eigenvalues"] - ends)[sure].max() <= 1e-8 * np.abs(truth).max()
        assert sure[4:].all()
        at = np.searchsorted(history["step"], step)
        logged, unsure = (
            history[name][at] for name in ("largest_eigenvalue", "largest_eigenvalue_residual")
        )
        assert abs(logged - truth[-1]) <= max(unsure, 1e-8 * truth[-1])
        assert unsure <= sharpness.TOLERANCE * np.abs(truth).max()


def test_sharpness_as_adam_sees_it_and_without_a_scale_are_those_of_the_matrix(run):
    step = 50
    state = TRAINING.state(run, step)
    matrix, config = dense(run, step).numpy(), run.config
    moments = [state[f"optimizer.{i}.exp_avg_sq"].flatten() for i in range(6)]
    seen = (1 - 0.9**step) * (torch.cat(moments).double() / (1 - 0.999**step)).sqrt() + 1e-8
    seen = seen.numpy() + (-(0.9**step)) * 1e-8
    truth = np.linalg.eigvalsh(matrix / np.sqrt(np.outer(seen, seen)))[-1]
    at = np.searchsorted(TRAINING.history(run)["step"], step)
    logged = TRAINING.history(run)["adam_eigenvalue"][at]
    assert logged == pytest.approx(truth, rel=1e-4)
    parameters = TRAINING.model(run, step).parameters()
    weights = torch.cat([p.detach().flatten() for p in parameters]).double()
    scaled = np.linalg.eigvalsh(matrix * np.abs(np.outer(weights, weights)))[-1]
    stored = run.arrays(SPECTRA, step)["adaptive_eigenvalue"][0]
    assert stored == pytest.approx(scaled, rel=1e-5)
    assert config.n_parameters == len(matrix)


def test_moving_a_factor_between_layers_changes_sharpness_and_not_the_scale_free_one(run):
    model, train = TRAINING.model(run, 60), run.config.task.train
    data = encoded(train, "raw"), train.targets

    def both() -> tuple[float, float]:
        matrix = hessian(model, F.cross_entropy, data).numpy()
        weights = torch.cat([p.detach().flatten() for p in model.parameters()]).double().numpy()
        return tuple(  # pyright: ignore
            np.linalg.eigvalsh(m)[-1] for m in (matrix, matrix * np.abs(np.outer(weights, weights)))
        )

    plain, scale_free = both()
    with torch.no_grad():
        for name, factor in (("0.weight", 4), ("0.bias", 4), ("2.weight", 1 / 4)):
            model.get_parameter(name).mul_(factor)
    moved, still = both()
    assert still == pytest.approx(scale_free, rel=1e-4)
    assert abs(moved / plain - 1) > 0.1


def test_accuracies_of_mirrored_and_other_pairs_average_to_that_of_all(run):
    history, mirrored = TRAINING.history(run), run.config.task.mirrored.double().mean().item()
    mean = mirrored * history[MIRRORED] + (1 - mirrored) * history[OTHERS]
    assert mean == pytest.approx(history["test_accuracy"])


def test_an_interrupted_training_ends_with_the_same_bits(run, tmp_path, monkeypatch):
    """Also where it is cut between the state of a step and its row: the search starts the same."""
    from hdlib.training import loop

    write = loop.write_rows
    cut = [30, 10, 50]

    def cut_short(stored, rows):
        if cut and rows[-1]["step"] == cut[-1]:
            cut.pop()
            raise KeyboardInterrupt
        write(stored, rows)

    cut.sort(reverse=True)
    monkeypatch.setattr(loop, "write_rows", cut_short)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            computed(SMALL, root=tmp_path)
    again = computed(SMALL, root=tmp_path)
    for name in (HISTORY, checkpoint_name(60)):
        assert again.stored(TRAINING).read(name) == run.stored(TRAINING).read(name)


def test_a_longer_training_has_the_same_rows(run, tmp_path):
    extended = computed(SMALL.model_copy(update={"n_steps": 45}), root=tmp_path)
    extended = computed(SMALL, root=tmp_path)
    ours, theirs = (TRAINING.history(found) for found in (extended, run))
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_what_is_stored_is_recomputed(run):
    findings = list(check_run(run, items="all"))
    assert any(" agree to " in finding.sentence for finding in findings)
    assert not [finding.sentence for finding in findings if finding.fault]


def test_exact_spectra_are_beside_those_from_products(run):
    network = Network(run)
    assert [step for step, *_ in network.exact] == EXACT.steps(run) == [0, 60]
    for _, eigenvalues, spectrum in network.exact:
        assert spectrum.highest == 4
        assert spectrum.eigenvalues[-4:] == pytest.approx(eigenvalues[-4:], rel=1e-8)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"p": 4}, "p=4: must be a prime"),
        ({"depth": 0}, "depth=0: Input should be greater than or equal to 1"),
        ({"encoding": "binary"}, "encoding='binary': Input should be 'raw'"),
        ({"train_fraction": 1e-9}, "train_fraction=1e-09: at least 1 of 9409 pairs"),
        ({"eigenpairs": 7_000, "depth": 1}, "eigenpairs=7000: at most 6448"),
        ({"optimizer": "lion"}, "optimizer='lion': Input should be 'adam' or 'gd'"),
        ({"depths": 3}, "depths=3: unknown"),
    ],
)
def test_impossible_networks(fields, sentence):
    with pytest.raises(ConfigError, match=sentence):
        DepthConfig(**fields)


def test_an_exact_hessian_that_cannot_fit_is_refused_before_training(tmp_path):
    with pytest.raises(MemoryError, match="depth=100: the Hessian of"):
        computed(DepthConfig(depth=100, exact=1), root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_grid_has_every_network_once():
    grid = DepthGrid()
    assert len(set(grid.configs)) == len(grid.configs)
    assert {(c.depth, c.seed) for c in grid.original if c.encoding == "raw"} == {
        (depth, seed) for depth in grid.depths for seed in grid.seeds
    }
