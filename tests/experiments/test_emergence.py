"""The emergence experiment at a small size: what its runs hold, and that it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.emergence.config import (
    ORIGINAL,
    EmergenceConfig,
    EmergenceGrid,
    EmergenceSettings,
    evenly,
)
from hdlib.experiments.emergence.probing import (
    FITTED,
    HELD_OUT,
    SHUFFLED,
    TRAINED,
    UNTRAINED,
    layer_features,
    probe_rows,
    probe_scores,
)
from hdlib.experiments.emergence.recipe import (
    EXPERIMENT,
    INPUTS,
    PROBES,
    RAW,
    SPECTRA,
    TRAINING,
    EmergenceRun,
)
from hdlib.experiments.emergence.results import EmergenceResults, interval
from hdlib.experiments.emergence.training import FollowedResults, halfway
from hdlib.models.mlp import encoded
from hdlib.store import ConfigError
from hdlib.store.publish import publish
from hdlib.training import checkpoint_name, state_name

SMALL = EmergenceGrid(
    p=11,
    widths=(4, 8),
    seeds=(0, 1),
    followed=8,
    probed=3,
    spectra=2,
    n_steps=40,
    probe_rows=60,
    eigenpairs=6,
    concepts=("parity of the sum", "Legendre symbol of the sum", "parity of x"),
    strengths=(0.1,),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def runs(root: Path) -> list[EmergenceRun]:
    return [EXPERIMENT.run(config, root=root) for config in SMALL.configs]


@pytest.fixture(scope="module")
def results(runs) -> EmergenceResults:
    return EmergenceResults(SMALL, runs)


def test_grid_has_each_width_from_each_seed_and_follows_one():
    followed, others = SMALL.configs[:2], SMALL.configs[2:]
    assert [(c.width, c.seed) for c in SMALL.configs] == [(8, 0), (8, 1), (4, 0), (4, 1)]
    assert [(c.probe_steps, c.spectrum_steps) for c in followed] == [([0, 20, 40], [0, 40])] * 2
    assert [(c.probe_steps, c.spectrum_steps) for c in others] == [([0, 40], [])] * 2
    assert evenly(7, 3) == [0, 4, 7]
    assert evenly(1, 5) == [0, 1]


def test_original_is_what_it_was():
    config = ORIGINAL.configs[0]
    shapes = [tuple(p.shape) for p in config.model().parameters()]
    assert shapes == [(256, 2), (256,), (256, 256), (256,), (97, 256), (97,)]
    assert config.layers == ["hidden 1", "hidden 2", "logits"]
    assert len(config.task.train.a) == int(0.8 * 97**2)
    with torch.no_grad():
        found = layer_features(config, config.model())
    assert found["hidden 1"].min() < 0  # before the ReLU


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"depths": 2}, "depths=2: unknown; emergence has p, encoding"),
        ({"p": 15}, "p=15: must be an odd prime"),
        ({"depth": 6}, "depth=6: Input should be less than or equal to 5"),
        ({"encoding": "binary"}, "encoding='binary': Input should be 'raw'"),
        ({"train_fraction": 1e-5}, "train_fraction=1e-05: 0 of 9409 pairs to train on"),
        ({"probe_rows": 9_409}, "probe_rows=9409: must be below 9409, the number of all pairs"),
        ({"concepts": ("x is odd",)}, "concepts: x is odd unknown; allowed are parity of the sum"),
        ({"strengths": ()}, "strengths=(): Tuple should have at least 1 item"),
        ({"strengths": (0.0,)}, "strengths.0=0.0: Input should be greater than 0"),
    ],
)
def test_impossible_settings(fields: dict[str, Any], sentence: str):
    for config in (EmergenceConfig, EmergenceGrid):
        with pytest.raises(ConfigError) as error:
            config(**fields)
        assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"followed": 48}, "followed=48: must be one of the widths, [16, 32, 64, 128, 256]"),
        ({"widths": [16, 16], "followed": 16}, "widths=[16, 16]: must be different"),
        ({"widths": []}, "widths=[]: Tuple should have at least 1 item"),
        ({"seeds": [0, -1]}, "seeds.1=-1: Input should be greater than or equal to 0"),
        ({"width": 16}, "width=16: unknown; emergence has"),
    ],
)
def test_impossible_grids(fields: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as error:
        EmergenceGrid(**fields)
    assert str(error.value).startswith(sentence)


def test_more_eigenpairs_than_parameters():
    with pytest.raises(ConfigError, match="eigenpairs=500: at most 45, the parameters of a netw"):
        EmergenceConfig(p=11, encoding="raw", width=2, eigenpairs=500, probe_rows=60)


def test_probe_rows_are_no_part_of_the_split_and_keep_mirrors_together():
    config = EmergenceConfig()
    rows, p = probe_rows(config), config.p
    fitted, trained = rows[FITTED], rows[TRAINED] | rows[UNTRAINED]
    assert fitted.sum() in (config.probe_rows, config.probe_rows - 1)
    assert np.array_equal(rows[HELD_OUT], ~fitted)
    assert np.array_equal(trained, ~fitted)
    assert not (rows[TRAINED] & rows[UNTRAINED]).any()
    assert np.array_equal(fitted.reshape(p, p), fitted.reshape(p, p).T)
    # Half of the pairs are trained on: of the held-out ones, too, to four standard errors.
    assert abs(rows[TRAINED].sum() / rows[HELD_OUT].sum() - 0.5) < 4 * 0.5 / 3_700**0.5


def test_switching_probes_or_spectra_trains_nothing_anew():
    config = EmergenceConfig()
    others = {
        "probes": {"strengths": (1.0,), "concepts": ("parity of x",), "probe_rows": 500},
        "activations": {"before_relu": True},
        "spectra": {"eigenpairs": 8, "tol": 1e-6, "spectra": 3},
    }
    changed = {
        name: {
            stage.name.partition("/")[2]
            for stage in EXPERIMENT.stages
            if stage.key(config) != stage.key(EmergenceConfig(**fields))
        }
        for name, fields in others.items()
    }
    assert changed == {
        "probes": {"inputs", "probes"},
        "activations": {"probes"},
        "spectra": {"spectra", "directions"},
    }


def test_features_are_those_of_the_network(runs):
    config, step = runs[0].config, SMALL.n_steps
    model = TRAINING.model(runs[0], step)
    inputs = encoded(config.task.grid, config.encoding)
    weight, bias = (value.detach() for value in model[0].parameters())
    first = torch.relu(inputs @ weight.T + bias)
    logits = model(inputs).detach()
    found = layer_features(config, model)
    assert list(found) == ["hidden 1", "hidden 2", "logits"]
    assert np.allclose(found["hidden 1"], first, atol=1e-5)
    assert np.allclose(found["logits"], logits, atol=1e-5)


def test_eigenvalues_are_those_of_the_dense_hessian(runs):
    run, step = runs[0], SMALL.n_steps
    task = run.config.task
    data = encoded(task.train, "one_hot"), task.train.targets
    matrix = hessian(TRAINING.model(run, step), F.cross_entropy, data)
    expected = np.linalg.eigvalsh(matrix.numpy())[::-1][: SMALL.eigenpairs]
    stored = run.arrays(SPECTRA, step)
    assert np.allclose(stored["eigenvalues"], expected, atol=1e-6 * expected[0])
    assert stored["residuals"].max() < SMALL.tol * expected[0]
    assert np.allclose(stored["frequencies"].sum(1), 1)


def test_runs_recompute_what_they_say(runs):
    run = runs[0]
    assert run.complete
    for stage, item in ((RAW, INPUTS), (PROBES, 20), (SPECTRA, 40), (TRAINING, 40)):
        assert all(error <= allowed for _, error, allowed in stage.check(run, item))


def test_large_weights_are_not_published(runs, root, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hdlib.experiments.emergence.recipe.SMALL", 4)
    for run in (runs[0], runs[2]):
        publish(run, root=tmp_path)
        found = EXPERIMENT.open(run.config, root=tmp_path)
        assert found.complete
        kept = [40] if run.config.width == 4 else []
        assert TRAINING.with_weights(found) == kept
        assert found.stored(TRAINING).has(checkpoint_name(40)) == bool(kept)
        assert not found.stored(TRAINING).has(state_name(40))
    EmergenceResults(SMALL, [*runs[:2], found, runs[3]])


def test_scores_have_a_place_for_each_network_and_layer(results):
    assert results.layers == ["inputs", "hidden 1", "hidden 2", "logits"]
    for name in SMALL.concepts:
        assert results.scores(name).shape == (2, 2, 4)
    # One-hot inputs have any function of x, and none of the sum.
    assert results.scores("parity of x")[..., 0].min() == 1
    assert results.scores("parity of the sum")[..., 0].max() < 0.7
    stored = results.runs[4, 1].arrays(PROBES, 0)["balanced_accuracy"]
    shown = results.scores("parity of x", SHUFFLED, rows=UNTRAINED, trained=False)
    assert shown[0, 1, 2] == stored[2, SHUFFLED, 1, UNTRAINED]


def test_a_layer_with_all_waves_has_all_of_a_concept(results):
    """One-hot sums hold every wave, and so every function of the sum; no wave is in noise."""
    config = results.runs[8, 0].config
    sums = np.eye(11)[config.task.grid.targets.numpy()]
    noise = np.random.default_rng(0).standard_normal((121, 5))
    arrays = probe_scores(config, {"one-hot": sums, "noise": noise})
    for kind in (0, 1):
        assert arrays["balanced_accuracy"][0, kind, 0, HELD_OUT] == 1
    assert arrays["waves"][0, HELD_OUT].min() > 0.99
    assert arrays["waves"][1, HELD_OUT].max() < 0.2


def test_followed_width(results):
    found = FollowedResults(results)
    assert found.scores("parity of the sum").shape == (2, 3, 3)
    assert found.eigenvalues.shape == (2, 2, 6)
    assert (np.diff(found.eigenvalues) <= 0).all()
    history = TRAINING.history(results.runs[8, 1])
    assert found.accuracy[1, 2] == history["test_accuracy"][history["step"] == 40][0]


def test_a_grid_without_spectra(runs, root):
    grid = SMALL.model_copy(update={"spectra": 0})
    with pytest.raises(ValueError, match="spectra=0; at least 1 is needed"):
        FollowedResults(
            EmergenceResults(grid, [EXPERIMENT.open(c, root=root) for c in grid.configs])
        )


def test_halfway():
    steps = np.array([0, 100, 200, 400])
    assert halfway(steps, np.array([0.5, 0.5, 0.7, 0.9])) == 200
    assert halfway(steps, np.array([0.0, 0.0, 1.0, 1.0])) == 150
    assert np.isnan(halfway(steps, np.array([0.5, 0.9, 0.52, 0.52])))


def test_lag_is_negative_where_scores_lead(results):
    found = FollowedResults(results)
    found.accuracy = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    early = np.array([[0.5, 0.9, 0.9]] * 2)[:, :, None]
    assert found.lags(early) == pytest.approx(np.array([[-20.0], [0.0]]))


def test_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    mean, half = interval(generator.standard_normal((4_000, 3)))
    assert abs((np.abs(mean) < half).mean() - 0.95) < 0.015
    assert interval(np.ones((2, 1)))[1].tolist() == [0, 0]


def test_settings_are_shared():
    assert set(EmergenceSettings.model_fields) < set(EmergenceGrid.model_fields)
    assert set(EmergenceSettings.model_fields) < set(EmergenceConfig.model_fields)
