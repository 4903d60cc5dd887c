"""From config to run: exact Hessians through the training of LeNet-tiny."""

from __future__ import annotations

import time
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from hdlib.curvature import (
    Spectrum,
    gradient,
    layer_weights,
    sample_curvature,
    spectrum,
)
from hdlib.experiments.lenet import (
    TRAINING,
    chosen,
    hessian_at,
    hessian_data,
    images,
    model_at,
    require_room,
    weights_at,
)
from hdlib.experiments.mnist.config import DRAW_SIZE, MnistConfig
from hdlib.measures import squared_cosines
from hdlib.store import Agreement, Arrays, ArrayStage, Experiment, Run, Timed, agreement
from hdlib.tasks import TRAIN_SIZE, Split

SWEEP_VECTORS = 10
HARDEST = 50

MnistRun: TypeAlias = Run[MnistConfig]


def eigenpairs(run: MnistRun, step: int, *, vectors: int) -> Spectrum:
    """Spectrum and eigenvectors at a checkpoint, from its weights; takes seconds."""
    data = hessian_data(run, run.config.hessian_samples)
    return spectrum(hessian_at(run, step, data), vectors=vectors)


def _spectrum(run: MnistRun, step: int) -> Arrays:
    data = hessian_data(run, run.config.hessian_samples)
    result = eigenpairs(run, step, vectors=run.config.vectors)
    return _arrays(result) | {
        "layer_weights": layer_weights(result.vectors, model_at(run, step)),
        "gradient_cosines": squared_cosines(_full_gradient(run, step), result.vectors),
        "sample_gradient_cosines": squared_cosines(_gradient(run, step, data), result.vectors),
        "top_vectors": result.top(run.config.stored_vectors).astype(np.float32),
    }


def _draws(run: MnistRun, step: int) -> Arrays:
    generator = np.random.default_rng((run.config.hessian_seed, 1))
    order = generator.permutation(TRAIN_SIZE[run.config.dataset])
    draws = order[: run.config.draws * DRAW_SIZE].reshape(-1, DRAW_SIZE)
    spectra = [spectrum(hessian_at(run, step, chosen(run, draw)), vectors=0) for draw in draws]
    return {"eigenvalues": np.stack([found.eigenvalues for found in spectra])}


def _sweep(run: MnistRun, item: tuple[int, int]) -> Timed:
    step, samples = item
    data = hessian_data(run, samples)
    started = time.monotonic()
    matrix = hessian_at(run, step, data)
    seconds = {"hessian": time.monotonic() - started}
    if samples == TRAIN_SIZE[run.config.dataset] and step == run.config.checkpoints[-1]:
        seconds["syrk"] = syrk_seconds(len(matrix), 10 * samples)
    result = spectrum(matrix, vectors=SWEEP_VECTORS)
    top = torch.from_numpy(result.top(1)[:, 0])
    model = model_at(run, step).to(run.device)
    curvature = sample_curvature(model, F.cross_entropy, data, top).cpu().numpy()
    hardest = np.sort(curvature)[::-1]
    arrays = _arrays(result) | {
        "gradient_cosines": squared_cosines(_full_gradient(run, step), result.vectors),
        "top_curvature_shares": hardest.cumsum()[:HARDEST] / hardest.sum(),
        "effective_samples": np.array(curvature.sum() ** 2 / (curvature**2).sum()),
    }
    return Timed(arrays, {name: round(value, 2) for name, value in seconds.items()})


def _agreement(stored: Arrays, recomputed: Arrays) -> list[Agreement]:
    """Eigenvalues and residuals over |λ|max, vectors in the space of as many and some more."""
    scale = np.abs(stored["eigenvalues"]).max()
    found = agreement(eigenvalues=1e-9, effective_samples=1e-6)(stored, recomputed)
    if len(stored["residuals"]):
        apart = np.abs(stored["residuals"] - recomputed["residuals"]).max() / scale
        found.append(Agreement("residuals over |λ|max", float(apart), 1e-9))
    if "top_vectors" in stored:
        ours, theirs = (arrays["top_vectors"].astype(np.float64) for arrays in (recomputed, stored))
        cosines = np.linalg.svd(ours.T @ theirs, compute_uv=False)
        found.append(Agreement("1 − cosines of the top spaces", float(1 - cosines.min()), 1e-5))
    return found


SPECTRA = ArrayStage(
    "mnist/spectra",
    fields=("hessian_samples", "hessian_seed", "vectors", "stored_vectors"),
    needs=(TRAINING,),
    items=lambda run: run.config.checkpoints,
    sources=weights_at,
    compute=_spectrum,
    agreement=_agreement,
)
DRAWS = ArrayStage(
    "mnist/draws",
    fields=("hessian_seed", "draws"),
    needs=(TRAINING,),
    items=lambda run: run.config.checkpoints[-1:] if run.config.draws else [],
    sources=weights_at,
    compute=_draws,
    agreement=agreement(eigenvalues=1e-9),
)
SWEEP = ArrayStage(
    "mnist/sweep",
    fields=("hessian_seed",),
    needs=(TRAINING,),
    items=lambda run: [
        (step, n) for n in run.config.sweep_sizes for step in run.config.sweep_steps
    ],
    sources=lambda run, item: weights_at(run, item[0]),
    compute=_sweep,
    agreement=_agreement,
)
EXPERIMENT = Experiment(
    MnistConfig, (TRAINING, SPECTRA, DRAWS, SWEEP), cost="under an hour", room=require_room
)
run = EXPERIMENT.run


def _gradient(run: MnistRun, step: int, data: Split) -> NDArray[np.float64]:
    model = model_at(run, step).to(run.device)
    return gradient(model, F.cross_entropy, data).cpu().numpy()


def _full_gradient(run: MnistRun, step: int) -> NDArray[np.float64]:
    return _gradient(run, step, images(run.config.dataset, run.device).train)


def syrk_seconds(n: int, rows: int) -> float:
    """Wall time of XᵀX for X of ``rows`` × n, float64: the floor of a Hessian made of its rows.

    One block of at most 10,000 rows is timed, and scaled.
    """
    generator = torch.Generator().manual_seed(0)
    block = torch.randn(min(rows, 10_000), n, generator=generator, dtype=torch.float64).numpy()
    total = np.zeros((n, n), order="F")
    (syrk,) = get_blas_funcs(("syrk",), dtype=np.float64)
    syrk(1.0, block[:n].T, beta=1.0, c=total, overwrite_c=1)
    started = time.monotonic()
    syrk(1.0, block.T, beta=1.0, c=total, overwrite_c=1)
    return (time.monotonic() - started) * rows / len(block)


def _arrays(result: Spectrum) -> dict[str, NDArray]:
    return {
        "eigenvalues": result.eigenvalues,
        "indices": result.indices,
        "residuals": result.residuals,
        "trace_error": np.array(result.trace_error),
        "frobenius_error": np.array(result.frobenius_error),
    }
