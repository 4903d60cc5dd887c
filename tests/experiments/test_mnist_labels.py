"""True and shuffled labels at a small size: what a run holds, and what is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.lenet import LABELLED_TRAINING, hessian_data, images, model_at
from hdlib.experiments.mnist.labels.config import MnistLabelsConfig, MnistLabelsGrid
from hdlib.experiments.mnist.labels.readout import readout_curvature
from hdlib.experiments.mnist.labels.recipe import EXPERIMENT, READOUT, TOPS, MnistLabelsRun
from hdlib.models import LeNetTiny
from hdlib.tasks import load_images

FIELDS = {
    "dataset": "digits",
    "n_epochs": 10,
    "width": 1,
    "lr": 0.03,
    "hessian_samples": 50,
    "seed": 7,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, MnistLabelsRun]:
    root = tmp_path_factory.mktemp("root")
    return {
        shuffled: EXPERIMENT.run(MnistLabelsConfig(**FIELDS, shuffled_labels=shuffled), root=root)
        for shuffled in (False, True)
    }


def test_they_are_complete_and_can_be_checked(runs):
    for run in runs.values():
        assert run.complete
        assert run.config.checkpoints == [0, 5, 10, 20, 30, 50, 70, 100, 120]
        for item in TOPS.checked(run)[-1:]:
            assert all(error <= allowed for _, error, allowed in TOPS.check(run, item))


def test_the_largest_eigenvalues_are_those_of_the_hessian_for_the_labels_that_are_trained(runs):
    for run in runs.values():
        H = hessian(model_at(run, 120), F.cross_entropy, hessian_data(run, 50)).numpy()
        stored = run.arrays(TOPS, (120, 50))["eigenvalues"]
        np.testing.assert_allclose(stored, np.linalg.eigvalsh(H)[-101:], atol=1e-9 * stored[-1])


def test_the_block_of_the_read_out_is_that_of_the_hessian(runs):
    run = runs[True]
    model, data = model_at(run, 120), hessian_data(run, 50)
    names = ["linear.weight", "linear.bias"]
    block = hessian(model, F.cross_entropy, data, parameters=names).numpy()
    stored = run.arrays(READOUT, 120)
    expected = np.linalg.eigvalsh(block)[::-1]
    np.testing.assert_allclose(stored["block"], expected[:12], rtol=1e-6)
    assert stored["outputs"][-1] == pytest.approx(0, abs=1e-12)


def test_outputs_and_features_that_vary_apart_multiply():
    model, inputs = LeNetTiny(1), load_images("digits").test.inputs[:40]
    for name in ("linear.weight", "linear.bias"):
        torch.nn.init.zeros_(model.get_parameter(name))
    found = readout_curvature(model, inputs)
    np.testing.assert_allclose(found["outputs"][:9], 0.1)
    expected = np.sort(np.outer(found["outputs"], found["features"]).ravel())[::-1][:12]
    np.testing.assert_allclose(found["block"], expected, rtol=1e-6)


def test_shuffled_labels_begin_at_the_same_weights_and_learn_no_class(runs):
    true, shuffled = (runs[key] for key in (False, True))
    assert true.stored(LABELLED_TRAINING).key != shuffled.stored(LABELLED_TRAINING).key
    for name, weight in model_at(true, 0).state_dict().items():
        assert torch.equal(weight, model_at(shuffled, 0).state_dict()[name])
    accuracy = [LABELLED_TRAINING.history(run)["test_accuracy"][-1] for run in (true, shuffled)]
    assert accuracy[0] > 0.5 > 0.3 > accuracy[1]


def test_images_stay_and_labels_are_permuted(runs):
    device = torch.device("cpu")
    true, shuffled, other = (images("digits", device, seed) for seed in (None, 7, 8))
    assert torch.equal(true.train.inputs, shuffled.train.inputs)
    assert torch.equal(true.train.targets.bincount(), shuffled.train.targets.bincount())
    assert (true.train.targets == shuffled.train.targets).float().mean() < 0.15
    assert not torch.equal(shuffled.train.targets, other.train.targets)
    assert torch.equal(true.test.targets, shuffled.test.targets)


def test_the_grid_has_both_labels_of_each_seed_and_all_images_of_some():
    few = MnistLabelsGrid(more_samples=0, whole=0).configs
    assert not any(config.spectra[10:] for config in few)
    configs = MnistLabelsGrid().configs
    assert {(config.seed, config.shuffled_labels) for config in configs} == {
        (seed, shuffled) for seed in range(42, 47) for shuffled in (False, True)
    }
    assert [config.hessian_seed for config in configs] == [config.seed for config in configs]
    first, *others = (config.spectra[10:] for config in configs if config.shuffled_labels)
    more, every = ([(step, size) for step in (50, 200, 469)] for size in (10_000, 60_000))
    assert first == [*more, *every]
    assert others == [[*more, (469, 60_000)]] * 4
