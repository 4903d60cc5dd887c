"""Circuits that are planted are found, and none where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.cluster import SpectralCoclustering
from sklearn.metrics import adjusted_rand_score
from torch import nn

import hdlib
from hdlib.clustering.coclustering import column_groups
from hdlib.clustering.concentration import concentrating_basis
from hdlib.curvature.responses import response_curvatures
from tests.clustering.planted import TASKS, loss, network, sums, train


@pytest.fixture(scope="module")
def learnt():
    """A network that has learnt two tasks in one shared layer, and the top of its spectrum."""
    model, data = network(seed=0), sums(seed=0)
    train(model, data)
    assert (model(data[0])[:, :7].argmax(1) == data[1][:, 0]).all()
    return (
        model,
        data,
        hdlib.spectrum(hdlib.hessian(model, loss, data), vectors=60).with_vectors(60),
    )


@pytest.fixture(scope="module")
def found(learnt):
    model, data, spectrum = learnt
    return hdlib.circuits(spectrum, model, data, draws=60)


def test_two_tasks_that_were_learnt_are_found(found):
    assert found.found
    assert found.n_groups == 2
    assert adjusted_rand_score(TASKS, found.feature_groups) == 1
    assert found.p == pytest.approx(1 / 61)
    assert "no circuits" not in repr(found)
    assert "2 groups" in repr(found)


@pytest.mark.parametrize("seed", [0, 1])
def test_untrained_network_has_no_circuits(seed):
    model, data = network(seed=seed), sums(seed=seed)
    spectrum = hdlib.spectrum(hdlib.hessian(model, loss, data), vectors=60).with_vectors(60)
    found = hdlib.circuits(spectrum, model, data, draws=60)
    assert not found.found
    assert "no circuits found" in repr(found)


def test_random_bases_of_the_same_span_have_none(learnt):
    """The eigenvectors of a learnt network, mixed: p-values are those of chance."""
    model, data, spectrum = learnt
    rng = np.random.default_rng(0)
    p = []
    for seed in range(8):
        turn, _ = np.linalg.qr(rng.standard_normal((60, 60)))
        mixed = replace(spectrum, vectors=spectrum.vectors @ turn)
        p.append(hdlib.circuits(mixed, model, data, draws=19, seed=seed).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.25
    assert np.median(p) > 0.1


def test_measures_by_brute_force(learnt, found):
    model, data, spectrum = learnt
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    for i in (0, 59):
        sides = []
        for step in (1e-5, -1e-5):
            moved = theta + step * torch.from_numpy(spectrum.vectors[:, i].copy())
            state, start = {}, 0
            for name, p in model.named_parameters():
                state[name] = moved[start : start + p.numel()].view_as(p)
                start += p.numel()
            sides.append(torch.func.functional_call(model, state, data[0]).detach().numpy())
        energy = (((sides[0] - sides[1]) / 2e-5) ** 2).mean(0)
        np.testing.assert_allclose(found.energies[i], energy, rtol=1e-6)
        own = energy[found.feature_groups == found.groups[i]].sum() / energy.sum()
        assert found.purity[i] == pytest.approx(own)
    table = found.energies / found.energies.sum(1, keepdims=True)
    same = found.groups[:, None] == found.feature_groups
    barber = table - np.outer(table.sum(1), table.sum(0)) / table.sum()
    assert found.modularity == pytest.approx(barber[same].sum() / table.sum())


def test_groups_have_spectra_of_their_own(found):
    parts = [found.spectrum(group) for group in range(2)]
    together = np.sort(np.concatenate([part.eigenvalues for part in parts]))
    np.testing.assert_array_equal(together, found.eigenvalues)
    assert parts[0].eigenvalues[-1] == found.eigenvalues[-1]
    assert hdlib.dendrogram(parts[1]).unresolved == 0
    with pytest.raises(ValueError, match="group=2: must be 0 to 1"):
        found.spectrum(2)


def test_saved_and_read(found, tmp_path):
    found.save(tmp_path / "circuits")
    assert repr(hdlib.Circuits.load(tmp_path / "circuits")) == repr(found)


def test_features_of_several_forms_are_the_same(learnt):
    model, data, spectrum = learnt
    centre = np.eye(12) - (TASKS[:, None] == TASKS) / np.where(TASKS, 5, 7)
    batches = [(data[0][:100], data[1][:100]), (data[0][100:], data[1][100:])]
    rows = torch.from_numpy(centre)
    one = hdlib.circuits(spectrum, model, data, features=centre, draws=2)
    for other in (
        hdlib.circuits(spectrum, model, batches, features=centre[:, None], draws=2),
        hdlib.circuits(spectrum, model, data, features=lambda change: change @ rows.T, draws=2),
    ):
        np.testing.assert_allclose(other.curvatures, one.curvatures, atol=1e-12)
    split = np.stack([np.eye(12)[:6], np.eye(12)[6:]])
    pair = hdlib.circuits(spectrum, model, data, features=split, draws=2)
    plain = hdlib.circuits(spectrum, model, data, draws=2)
    np.testing.assert_allclose(pair.energies[:, 0], plain.energies[:, :6].sum(1))


class Apart(nn.Module):
    """Three networks side by side, of the same weights: each eigenvalue three times."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 2, bias=False).double()
        self.parts = nn.ModuleList([self.one, *(nn.Linear(4, 2, bias=False) for _ in range(2))])
        for part in self.parts:
            part.load_state_dict(self.one.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(x) for part in self.parts], 1)


def test_equal_eigenvalues_are_taken_apart():
    torch.manual_seed(0)
    x = torch.randn(50, 4)
    model, data = Apart(), (x, torch.randn(50, 6))
    spectrum = hdlib.spectrum(hdlib.hessian(model, F.mse_loss, data))
    rng = np.random.default_rng(0)
    turned = [
        part @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
        for part in np.hsplit(spectrum.vectors, 4)
    ]
    spectrum = replace(spectrum, vectors=np.hstack(turned))
    found = hdlib.circuits(spectrum, model, data, k=6, draws=20)
    assert np.bincount(found.groups).tolist() == [4] * 6
    np.testing.assert_allclose(found.purity, 1)
    np.testing.assert_allclose(found.eigenvalues, spectrum.eigenvalues, atol=1e-9)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(24), atol=1e-10)
    energies = np.diagonal(response_curvatures(model, data, spectrum.vectors), axis1=1, axis2=2)
    assert (energies.max(0) / energies.sum(0)).max() < 0.99  # as they came


def test_what_moves_nothing_is_in_no_group():
    """Of 20 weights 14 directions leave the product of two matrices as it is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False))
    data = torch.randn(40, 3), torch.randn(40, 2)
    spectrum = hdlib.spectrum(hdlib.gauss_newton(model, F.mse_loss, data))
    found = hdlib.circuits(spectrum, model, data, draws=2)
    assert (found.groups >= 0).sum() == 6  # a linear map from 3 to 2
    assert np.isnan(found.purity).sum() == 20 - 6


def test_columns_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(3, size=60), rng.permutation(np.arange(30) % 3)
    table = rng.uniform(0, 0.15, (60, 30)) + (rows[:, None] == columns)
    found = column_groups(table, 3)[-1]
    other = SpectralCoclustering(3, random_state=0).fit(table).column_labels_
    assert adjusted_rand_score(columns, found) == 1
    assert adjusted_rand_score(other, found) == 1
    apart = (rows[:, None] == columns).astype(float)
    assert adjusted_rand_score(columns, column_groups(apart, 3)[-1]) == 1


def test_basis_that_concentrates_undoes_a_rotation():
    rng = np.random.default_rng(0)
    diagonal = np.stack([np.diag(energies) for energies in rng.uniform(size=(7, 5))])
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    back = turn @ concentrating_basis(turn.T @ diagonal @ turn)
    np.testing.assert_allclose(np.abs(back).max(0), 1, atol=1e-6)
    assert sorted(np.abs(back).argmax(0)) == [0, 1, 2, 3, 4]


def test_what_is_refused(learnt):
    model, data, spectrum = learnt
    with pytest.raises(ValueError, match="0 vectors are kept in the spectrum, at least two"):
        hdlib.circuits(spectrum.with_vectors(0), model, data)
    worse = replace(spectrum, residuals=spectrum.residuals + 1)
    with pytest.raises(hdlib.ConvergenceError, match="60 of 60 eigenpairs are not certified"):
        hdlib.circuits(worse, model, data)
    with pytest.raises(ValueError, match=r"directions must be \(400, m\), got \(604, 60\)"):
        hdlib.circuits(spectrum, model, data, parameters=["0"])
    with pytest.raises(ValueError, match=r"features must be \(F, 12\) or \(F, r, 12\)"):
        hdlib.circuits(spectrum, model, data, features=np.eye(3))
    with pytest.raises(ValueError, match="features must be a linear function"):
        hdlib.circuits(spectrum, model, data, features=lambda change: change**2)
    with pytest.raises(ValueError, match="k=13: must be 2 to 12"):
        hdlib.circuits(spectrum, model, data, k=13)
    with pytest.raises(ValueError, match="draws=0"):
        hdlib.circuits(spectrum, model, data, draws=0)
    noisy = nn.Sequential(*model, nn.Dropout())
    with pytest.raises(ValueError, match=r"differ when computed again .*call model.eval\(\)"):
        hdlib.circuits(spectrum, noisy, data)
    coupled = nn.Sequential(*model, nn.BatchNorm1d(12, affine=False).double())
    with pytest.raises(ValueError, match="differ when computed without the others"):
        hdlib.circuits(spectrum, coupled, data)
