"""Images of digits to classify: MNIST, and the small digits bundled with scikit-learn."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdlib.tasks.idx import read_idx
from hdlib.tasks.mnist_files import find_mnist_file

Dataset: TypeAlias = Literal["mnist", "digits"]

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
DIGITS_TRAIN = 1_437
TRAIN_SIZE: dict[str, int] = {"mnist": 60_000, "digits": DIGITS_TRAIN}
"""Number of training images of each dataset."""


class Split(NamedTuple):
    """Images (n, 1, 28, 28) float32, normalised, and their classes (n,) int64 in 0 … 9."""

    inputs: Tensor
    targets: Tensor


class Images(NamedTuple):
    """A training and a test split."""

    train: Split
    test: Split


def load_images(dataset: Dataset) -> Images:
    """Load a dataset of 28 × 28 images in ten classes.

    ``mnist``: 60,000 and 10,000 images (LeCun et al. 1998), normalised with mean 0.1307 and
    standard deviation 0.3081. ``digits``: the 1,797 images of 8 × 8 bundled with scikit-learn,
    enlarged bilinearly, in a fixed random split of 1,437 and 360, normalised with the mean and
    standard deviation of its own training split; needs no download.

    Raises:
        ValueError: for another name, or if an MNIST file is damaged.
        ConnectionError: if MNIST is neither found nor downloaded.
    """
    match dataset:
        case "mnist":
            return Images(_mnist("train"), _mnist("t10k"))
        case "digits":
            return _digits()
    raise ValueError(f"dataset is {dataset!r}; allowed are {', '.join(get_args(Dataset))}")


def shuffled_labels(split: Split, *, seed: int) -> Split:
    """The same images with their labels permuted among them: each class keeps its number.

    What an image shows then says nothing of its label, so no class can be learnt, only images
    learnt by heart (Zhang et al. 2017).

    Args:
        split: images and their classes.
        seed: of the permutation.
    """
    order = np.random.default_rng((seed, 5)).permutation(len(split.targets))
    return Split(split.inputs, split.targets[torch.from_numpy(order)])


def _mnist(part: str) -> Split:
    images = read_idx(find_mnist_file(f"{part}-images-idx3-ubyte.gz"))
    labels = read_idx(find_mnist_file(f"{part}-labels-idx1-ubyte.gz"))
    return _split(torch.tensor(images)[:, None] / 255, labels, MNIST_MEAN, MNIST_STD)


def _digits() -> Images:
    from sklearn.datasets import load_digits  # here, as scikit-learn takes a second

    pixels, labels = load_digits(return_X_y=True)
    small = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    images = F.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:DIGITS_TRAIN], order[DIGITS_TRAIN:]
    mean, std = images[train].mean().item(), images[train].std().item()
    return Images(
        _split(images[train], labels[train], mean, std),
        _split(images[test], labels[test], mean, std),
    )


def _split(images: Tensor, labels: NDArray, mean: float, std: float) -> Split:
    return Split((images - mean) / std, torch.tensor(labels, dtype=torch.int64))
