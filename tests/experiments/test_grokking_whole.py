"""All eigenvalues of small networks: that they are all, and how many are zero by symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import EXPERIMENT, WHOLE
from hdlib.experiments.grokking.small import ALL, FEW, WholeResults
from hdlib.experiments.grokking.tables import whole_table
from hdlib.experiments.grokking.training import TRAINING, GrokkingRun
from hdlib.experiments.grokking.whole import FEW_PAIRS, whole_measures, zeros_by_symmetry

SMALL = GrokkingConfig(
    p=23,
    width=6,
    n_heads=2,
    n_steps=60,
    log_every=20,
    spectra=9,
    eigenpairs=30,
    max_products=400,
    purities=1,
    stored_weights=3,
    coefficients=0,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> GrokkingRun:
    run = EXPERIMENT.open(SMALL, root=tmp_path_factory.mktemp("root"))
    run.compute()
    return run


def test_all_eigenvalues_are_those_of_the_hessian(run):
    train = SMALL.task.train
    few = np.random.default_rng(SMALL.seed).permutation(len(train.a))[:FEW_PAIRS]
    assert len(train.a) > FEW_PAIRS
    for step in WHOLE.steps(run):
        stored, model = run.arrays(WHOLE, step), TRAINING.model(run, step)
        for name, chosen in ((ALL, slice(None)), (FEW, few)):
            data = train.tokens()[chosen], train.targets[chosen]
            expected = np.linalg.eigvalsh(hessian(model, F.cross_entropy, data).numpy())
            np.testing.assert_allclose(stored[name], expected, atol=1e-13 * expected[-1])
        assert all(error <= allowed for _, error, allowed in WHOLE.check(run, step))


def test_lanczos_and_quadrature_see_the_same(run):
    results = WholeResults(run)
    assert list(results.seen) == results.steps
    for found in results.seen.values():
        assert found.certified >= SMALL.eigenpairs
        assert found.error < SMALL.tol
        assert found.low <= found.negative <= found.high


@pytest.mark.parametrize(
    ("width", "n_heads", "seed"), [(6, 1, 0), (6, 2, 0), (6, 3, 1), (8, 4, 1), (8, 8, 0)]
)
def test_zeros_are_as_many_as_the_symmetries_say(width: int, n_heads: int, seed: int):
    config = GrokkingConfig(
        p=13, width=width, n_heads=n_heads, activation="none", eigenpairs=30, seed=seed
    )
    for found in whole_measures(config, config.model()).values():
        sizes = np.sort(np.abs(found)) / np.abs(found).max()
        counted = zeros_by_symmetry(width, n_heads)
        assert sizes[counted - 1] < 1e-14
        assert sizes[counted] > 1e-10


def test_a_network_that_is_too_large_has_none():
    run = EXPERIMENT.open(GrokkingConfig())
    assert WHOLE.items(run) == []
    with pytest.raises(ValueError, match="has 94,976 parameters, and at most 12,000 are possible"):
        WholeResults(run)


def test_the_table_has_a_row_for_each_checkpoint_and_sample(run):
    results = WholeResults(run)
    lines = whole_table(results).splitlines()
    assert len(lines) == 2 + 2 * len(results.steps)
    assert "all 211 pairs" in lines[2]
    assert "200 pairs" in lines[3]
