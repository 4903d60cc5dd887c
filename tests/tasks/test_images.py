from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hdlib.tasks import TRAIN_SIZE, load_images

MNIST = Path(os.environ.get("HDLIB_DATA_HOME", "/nowhere")) / "mnist"


def test_digits():
    images = load_images("digits")
    for split, size in ((images.train, 1437), (images.test, 360)):
        assert split.inputs.shape == (size, 1, 28, 28)
        assert split.targets.shape == (size,)
        assert split.inputs.dtype == torch.float32
        assert split.targets.dtype == torch.int64
    assert TRAIN_SIZE["digits"] == 1437
    assert images.train.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.train.inputs.std().item() == pytest.approx(1, abs=1e-5)
    counts = images.train.targets.bincount() + images.test.targets.bincount()
    assert counts.tolist() == np.bincount(load_digits(return_X_y=True)[1]).tolist()


def test_digits_are_the_same_each_time():
    for first, second in zip(load_images("digits"), load_images("digits"), strict=True):
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)


def test_digits_are_those_of_scikit_learn():
    """Every enlarged image is one of the originals, with its class, and none is there twice."""
    pixels, targets = load_digits(return_X_y=True)
    # Each row interpolates linearly between the centres of two of the eight old pixels.
    centres = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    enlarge = np.stack([np.interp(centres, np.arange(8), unit) for unit in np.eye(8)], 1)
    large = enlarge @ np.reshape(pixels, (-1, 8, 8)) @ enlarge.T
    splits = load_images("digits")
    ours = torch.cat([split.inputs for split in splits]).flatten(1).double().numpy()
    classes = torch.cat([split.targets for split in splits]).numpy()
    theirs = np.reshape(large, (1797, -1))
    # Normalisation is one linear map for all pixels.
    ours = (ours - ours.min()) / (ours.max() - ours.min()) * 16
    distances = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)
    nearest = distances.argmin(1)
    assert distances.min(1).max() < 0.1
    assert len(set(nearest.tolist())) == 1797
    np.testing.assert_array_equal(classes, targets[nearest])


def test_unknown_dataset():
    with pytest.raises(ValueError, match="dataset is 'fashion'; allowed are mnist, digits"):
        load_images("fashion")  # type: ignore[arg-type]


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not in $HDLIB_DATA_HOME/mnist")
def test_mnist():
    images = load_images("mnist")
    assert images.train.inputs.shape == (60_000, 1, 28, 28)
    assert images.test.inputs.shape == (10_000, 1, 28, 28)
    assert TRAIN_SIZE["mnist"] == 60_000
    assert images.train.inputs.mean().item() == pytest.approx(0, abs=1e-3)
    assert images.train.inputs.std().item() == pytest.approx(1, abs=1e-3)
    # Class counts as published (LeCun et al. 1998).
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert images.train.targets.bincount().tolist() == counts
    assert images.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
