"""From config to run: modules of the Hessian, of its parts, and of their nulls."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.clustering import fiedler_modules, permuted_with_degrees
from hdlib.curvature import hessian_split, parameter_layers
from hdlib.experiments.fiedler.labels.config import FiedlerLabelsConfig, FiedlerLabelsGrid
from hdlib.experiments.fiedler.measures import total
from hdlib.experiments.lenet import (
    LABELLED_TRAINING,
    hessian_data,
    model_at,
    require_room,
    weights_at,
)
from hdlib.store import Arrays, ArrayStage, Experiment, Run, agreement

FiedlerLabelsRun: TypeAlias = Run[FiedlerLabelsConfig]

PARTS = ("H", "G", "R")
"""The Hessian, its Gauss–Newton part, and its residual: the order of what is stored."""
NULL_MODULES = 16
"""As many as the second convolution has filters."""


def _parts(run: FiedlerLabelsRun, step: int) -> list[NDArray[np.float64]]:
    """`PARTS` at a checkpoint, (n, n) each."""
    model, data = model_at(run, step), hessian_data(run, run.config.hessian_samples)
    split = hessian_split(model.to(run.device), F.cross_entropy, data)
    curved, residual = (part.cpu().numpy() for part in split)
    return [curved + residual, curved, residual]


def _of_all(matrices: list[NDArray[np.float64]], *, most: int | None = None) -> dict[str, NDArray]:
    """Modules of each, (3, n) int16, and their modularity, (3,)."""
    found = [fiedler_modules(matrix, most=most) for matrix in matrices]
    return {
        "modules": np.stack([each.labels for each in found]).astype(np.int16),
        "modularity": np.array([each.modularity for each in found]),
    }


def _modules(run: FiedlerLabelsRun, step: int) -> Arrays:
    """Of `PARTS`, and the sum of all couplings of each."""
    matrices = _parts(run, step)
    return _of_all(matrices) | {"total": np.array([total(matrix) for matrix in matrices])}


def _nulls(run: FiedlerLabelsRun, step: int) -> Arrays:
    """Of `PARTS` with couplings that keep degrees and layers and are random beside.

    At most `NULL_MODULES` of each: without structure there are hundreds, and nearly all of them
    single parameters.
    """
    layers = list(parameter_layers(model_at(run, step)).values())
    generator = np.random.default_rng((run.config.hessian_seed, 6, step))
    return _of_all(
        [permuted_with_degrees(matrix, layers, generator) for matrix in _parts(run, step)],
        most=NULL_MODULES,
    )


MODULES = ArrayStage(
    "fiedler-labels/modules",
    fields=("hessian_samples", "hessian_seed"),
    needs=(LABELLED_TRAINING,),
    items=lambda run: run.config.order[: run.config.modules],
    sources=weights_at,
    compute=_modules,
    agreement=agreement(total=1e-9, modularity=1e-6),
)
NULLS = ArrayStage(
    "fiedler-labels/nulls",
    fields=("hessian_samples", "hessian_seed"),
    needs=(LABELLED_TRAINING,),
    items=lambda run: run.config.null_steps,
    sources=weights_at,
    compute=_nulls,
    agreement=agreement(modularity=1e-6),
)
EXPERIMENT = Experiment(
    FiedlerLabelsConfig,
    (LABELLED_TRAINING, MODULES, NULLS),
    cost="half an hour to an hour",
    room=require_room,
    grid=FiedlerLabelsGrid,
)
