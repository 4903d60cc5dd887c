"""Outputs and leading eigenvectors, grouped by which of them move which."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import block_diag

import hdlib
from hdlib.experiments.planted.config import PlantedConfig
from hdlib.experiments.planted.measures import curvatures
from hdlib.models.planted import PlantedNetwork


def centred_outputs(config: PlantedConfig) -> NDArray[np.float64]:
    """(O, O): each logit less the mean of its softmax, which no loss sees."""
    sizes = [part.stop - part.start for part in config.outputs]
    return np.asarray(block_diag(*(np.eye(size) - 1 / size for size in sizes)))


def grouped(config: PlantedConfig, model: PlantedNetwork) -> dict[str, NDArray]:
    """The groups that `hdlib.circuits` finds, not told their number.

    Returns:
        ``outputs`` (O,) and ``vectors`` (top,), int16; the ``excess`` over permuted features,
        ``rotated``, the 95% quantile of that in random rotations, and ``p``, the larger of the two
        nulls'.
    """
    found, task = curvatures(config, model), config.task
    size = sum(parameter.numel() for parameter in model.parameters())
    hessian = torch.zeros(size, size, dtype=torch.float64)
    alive = torch.from_numpy(found.alive)
    hessian[alive[:, None], alive] = torch.from_numpy(found.hessian)
    spectrum = hdlib.lanczos(hessian, top=config.top, bottom=0)
    data = config.encode(task.train), task.train.targets
    circuits = hdlib.circuits(
        spectrum,
        model,
        data,
        features=centred_outputs(config),
        draws=config.rotations,
        seed=config.seed,
    )
    return {
        "outputs": circuits.feature_groups.astype(np.int16),
        "vectors": circuits.groups.astype(np.int16),
        "excess": np.array(circuits.excess),
        "rotated": np.array(np.quantile(circuits.rotated, 0.95)),
        "p": np.array(circuits.p),
    }
