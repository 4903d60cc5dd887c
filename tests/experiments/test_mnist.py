"""The MNIST experiment at a small size: what a run holds, and that it can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.lenet import TRAINING, hessian_data, model_at
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.mnist.recipe import DRAWS, SPECTRA, SWEEP, MnistRun, eigenpairs
from hdlib.experiments.mnist.recipe import run as computed
from hdlib.experiments.mnist.results import MnistResults

SMALL = MnistConfig(
    dataset="digits", n_epochs=1, width=1, hessian_samples=50, sweep_checkpoints=1, draws=2
)
LAST = SMALL.checkpoints[-1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MnistRun:
    return computed(SMALL, root=tmp_path_factory.mktemp("root"))


def test_it_is_complete_and_can_be_checked(run):
    assert run.complete
    assert TRAINING.with_weights(run) == SPECTRA.steps(run) == SMALL.checkpoints
    for stage in (TRAINING, SPECTRA, SWEEP, DRAWS):
        items = stage.checked(run)
        assert items
        for what, error, allowed in stage.check(run, items[-1]):
            assert error <= allowed, (stage.name, what)


def test_spectrum_is_that_of_the_hessian(run):
    H = hessian(model_at(run, LAST), F.cross_entropy, hessian_data(run, 50)).numpy()
    stored = run.arrays(SPECTRA, LAST)
    expected = np.linalg.eigvalsh(H)
    assert np.abs(stored["eigenvalues"] - expected).max() <= 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(eigenpairs(run, LAST, vectors=10).eigenvalues, expected, atol=1e-12)
    v = stored["top_vectors"].astype(np.float64)
    assert v.shape == (len(H), SMALL.stored_vectors)
    rest = np.linalg.norm(H @ v - v * expected[::-1][: v.shape[1]], axis=0)
    assert rest.max() <= 1e-5 * np.abs(expected).max()


def test_sweep_over_samples_and_draws(run):
    sizes = SMALL.sweep_sizes
    assert list(SWEEP.items(run)) == [(LAST, n) for n in sizes]
    assert sizes[-1] == len(hessian_data(run, 10**6).targets)
    assert set(run.timings(SWEEP, (LAST, sizes[-1]))) == {"hessian", "syrk"}
    assert set(run.timings(SWEEP, (LAST, sizes[0]))) == {"hessian"}
    for n in sizes:
        trace = hessian(model_at(run, LAST), F.cross_entropy, hessian_data(run, n)).trace()
        found = run.arrays(SWEEP, (LAST, n))["eigenvalues"]
        assert found.sum() == pytest.approx(float(trace), rel=1e-9)
    draws = run.arrays(DRAWS, LAST)["eigenvalues"]
    assert draws.shape == (2, MnistResults(run).trajectory.n)
    assert not np.allclose(draws[0], draws[1])


def test_results_fit_together(run):
    results = MnistResults(run)
    assert results.trajectory.steps.tolist() == SMALL.checkpoints
    assert all(spectrum.certified.all() for spectrum in results.trajectory.spectra)
    assert max(results.certificates.values()) < 1e-9
