"""Networks followed closely, at a small size: what is measured, and when it comes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.experiments.onset.network import HALF, FollowedNetwork
from hdlib.experiments.onset.recipe import (
    CIRCUIT,
    COEFFICIENTS,
    EXPERIMENT,
    FREQUENCIES,
    SPECTRA,
    TRAINING,
)
from hdlib.measures.fourier import fourier_basis
from hdlib.measures.functions import output_changes
from hdlib.store import ConfigError
from hdlib.training import OTHERS

SMALL = OnsetConfig(
    p=7,
    width=6,
    train_fraction=0.6,
    n_steps=60,
    checkpoint_every=20,
    eigenpairs=8,
    coefficients=3,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return EXPERIMENT.run(SMALL, root=tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def network(run) -> FollowedNetwork:
    return FollowedNetwork(run)


def whole(run, step: int):
    """The network and all of its eigenpairs, descending."""
    model = TRAINING.model(run, step).double()
    train = run.config.task.train
    matrix = hessian(model, F.cross_entropy, (train.tokens(), train.targets))
    values, vectors = np.linalg.eigh(matrix.numpy())
    return model, values[::-1], vectors[:, ::-1]


def test_spectra_are_the_top_of_the_whole(run):
    assert SPECTRA.steps(run) == [0, 20, 40, 60]
    for step in (0, 60):
        found, (_, values, _) = run.arrays(SPECTRA, step), whole(run, step)
        np.testing.assert_allclose(found["eigenvalues"], values[:8], atol=1e-5 * values[0])


def test_dimensions_are_generalised_eigenvalues(run):
    """Of the curvature of a frequency in the span of the first vectors, by SciPy."""
    model, _, vectors = whole(run, 60)
    changes = output_changes(model, SMALL.task.grid.tokens(), vectors[:, :4].copy())
    basis = fourier_basis(7)[1:]
    waves = changes @ basis.T
    total = np.einsum("ino,jno->ij", waves, waves)
    found, keys = run.arrays(SPECTRA, 60), run.arrays(CIRCUIT, 60)["frequencies"]
    assert found["dimensions"].shape == (8, len(keys), 2)
    for at, k in enumerate(keys):
        part = waves[..., 2 * (k - 1) : 2 * k]
        own = np.einsum("ino,jno->ij", part, part)
        expected = scipy.linalg.eigh(own, total, eigvals_only=True)[::-1][:2]
        np.testing.assert_allclose(found["dimensions"][3, at], expected, atol=2e-3)
        np.testing.assert_allclose(
            found["shares"][:4, k - 1], np.diag(own) / np.diag(total), atol=2e-3
        )


def test_in_the_whole_span_no_basis_matters(run):
    for step in (0, 60):
        found = run.arrays(SPECTRA, step)
        whole_span = np.broadcast_to(found["dimensions"][-1], found["rotated"][:, -1].shape)
        np.testing.assert_allclose(found["rotated"][:, -1], whole_span, atol=2e-3)
        assert not np.allclose(found["rotated"][:, 1], found["dimensions"][1], atol=0.02)


def test_what_is_said_of_a_network(network):
    count = len(network.frequencies)
    assert network.steps.tolist() == [0, 20, 40, 60]
    assert network.power.shape == network.seen().shape == network.detached().shape == (4, count)
    assert network.detached("rotated").shape == (4, 5, count)
    assert network.eigenvalues.shape == (4, 8)
    assert not network.generalised
    assert network.risen[-1].all()
    assert (network.detached_ranks[[not g.stands_out for g in network.gaps]] == 0).all()


def test_what_is_above_a_gap_is_among_all(network, monkeypatch):
    """And nothing is above a gap that does not stand out."""
    monkeypatch.setattr(network, "detached_ranks", np.array([0, 8, 1, 8]))
    found, seen = network.detached(), network.seen()
    assert not found[0].any()
    assert not found[2].any()  # one direction is no pair
    assert (found[[1, 3]] == seen[[1, 3]]).all()


def test_onset_is_the_first_of_two_checkpoints(network):
    mask = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1]], bool)
    assert network.onset(mask).tolist() == [40, 20, np.inf]


def test_a_frequency_has_risen_at_half_of_its_end(network):
    reached = network.power >= HALF * network.power[-1]
    assert (network.risen == reached).all()


def test_grid_has_networks_with_enough_pairs_and_with_too_few():
    grid = OnsetGrid(
        moduli=(5, 7),
        fractions=(0.6, 0.5),
        coefficients=3,
        seeds=(0, 1),
        few_seeds=(0,),
        few=0.2,
    )
    assert [(c.p, c.train_fraction, c.seed) for c in grid.configs] == [
        *((7, 0.5, 0), (7, 0.5, 1), (7, 0.2, 0)),
        *((5, 0.6, 0), (5, 0.6, 1), (5, 0.2, 0)),
    ]
    assert set(grid.followed) == set(grid.controls) == {5, 7}
    assert {c.coefficients for c in grid.configs} == {3}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"p": 9}, "p=9: must be a prime"),
        ({"n_heads": 5}, "n_heads=5: must divide width=128"),
        ({"p": 5, "train_fraction": 0.01}, "none of 25 pairs"),
        ({"p": 5, "width": 1, "eigenpairs": 40}, "eigenpairs=40: at most 18"),
    ],
)
def test_impossible_configs(fields, told):
    with pytest.raises(ConfigError, match=told):
        OnsetConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"fractions": (0.4,)}, r"fractions=\[0.4\]: one for each of moduli=\[59, 113\]"),
        ({"coefficients": 0}, "coefficients=0: Input should be greater than or equal to 1"),
        ({"moduli": (7, 7)}, r"moduli=\[7, 7\]: each once"),
    ],
)
def test_each_modulus_has_its_own(fields, told):
    with pytest.raises(ConfigError, match=told):
        OnsetGrid(**fields)


def test_learning_coefficients_are_of_some_checkpoints(run, network):
    assert COEFFICIENTS.steps(run) == network.coefficient_steps.tolist() == [0, 20, 60]
    chains = [run.arrays(COEFFICIENTS, step)["whole"] for step in COEFFICIENTS.steps(run)]
    np.testing.assert_array_equal(network.coefficients, np.mean(chains, axis=1))
    assert np.ptp(chains[1]) > 0  # chains draw other random numbers


def test_those_of_frequencies_are_where_half_of_the_other_pairs_are_right(run, network):
    """Here they never are: the last checkpoint."""
    assert network.column(OTHERS).max() < HALF
    assert FREQUENCIES.steps(run) == [60]
    own, other = network.halfway("frequencies"), network.halfway("others")
    keys = len(network.frequencies)
    assert (len(own), len(other)) == (keys, min(keys, 3 - keys))


def test_a_coefficient_is_flatter_when_it_stays_at_half(network, monkeypatch):
    monkeypatch.setattr(network, "coefficient_steps", np.array([0, 20, 40, 60]))
    for means, step in (([1, 4, 2, 1], 40), ([1, 4, 2, 3], np.inf), ([1, 1, 4, 2], 60)):
        monkeypatch.setattr(network, "_chains", [[mean - 0.5, mean + 0.5] for mean in means])
        assert network.flatter == step


def test_training_logs_pairs_apart(run):
    history = TRAINING.history(run)
    assert {"mirrored_accuracy", "other_accuracy"} <= set(history)
    assert history["step"].tolist() == [0, 20, 40, 60]
