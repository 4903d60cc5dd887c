"""From config to run: the largest eigenvalues at early checkpoints."""

from __future__ import annotations

from typing import TypeAlias

from hdlib.curvature import lanczos
from hdlib.experiments.lenet import (
    LABELLED_TRAINING,
    hessian_at,
    hessian_data,
    model_at,
    require_room,
    weights_at,
)
from hdlib.experiments.mnist.labels.config import MnistLabelsConfig, MnistLabelsGrid
from hdlib.experiments.mnist.labels.readout import readout_curvature
from hdlib.measures.outliers import SEARCH
from hdlib.store import Arrays, ArrayStage, Experiment, Run, agreement

TOLERANCE = 1e-8
"""Residuals over the largest |λ|."""

MnistLabelsRun: TypeAlias = Run[MnistLabelsConfig]


def _top(run: MnistLabelsRun, item: tuple[int, int]) -> Arrays:
    """The largest eigenvalues, ascending: as many as the gap test looks at."""
    step, samples = item
    matrix = hessian_at(run, step, hessian_data(run, samples))
    found = lanczos(matrix, top=SEARCH + 1, bottom=0, tol=TOLERANCE)
    return {"eigenvalues": found.eigenvalues}


def _readout(run: MnistLabelsRun, step: int) -> Arrays:
    data = hessian_data(run, run.config.hessian_samples)
    return readout_curvature(model_at(run, step), data.inputs.cpu())


TOPS = ArrayStage(
    "mnist-labels/tops",
    fields=("hessian_seed",),
    needs=(LABELLED_TRAINING,),
    items=lambda run: run.config.spectra,
    sources=lambda run, item: weights_at(run, item[0]),
    compute=_top,
    agreement=agreement(eigenvalues=1e-9),
)
READOUT = ArrayStage(
    "mnist-labels/readout",
    fields=("hessian_samples", "hessian_seed"),
    needs=(LABELLED_TRAINING,),
    items=lambda run: run.config.checkpoints,
    sources=weights_at,
    compute=_readout,
    agreement=agreement(block=1e-9, outputs=1e-9, features=1e-9),
)
EXPERIMENT = Experiment(
    MnistLabelsConfig,
    (LABELLED_TRAINING, TOPS, READOUT),
    cost="five minutes, and half an hour where all images are asked for",
    room=require_room,
    grid=MnistLabelsGrid,
)
