"""From config to run: training, and exact Hessians through it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs
from torch import Tensor
from tqdm import tqdm

from hdlib.curvature import (
    Spectrum,
    gradient,
    hessian,
    layer_weights,
    sample_curvature,
    spectrum,
)
from hdlib.device import resolve_device
from hdlib.experiments.mnist.config import DRAW_SIZE, MnistConfig
from hdlib.measures import squared_cosines
from hdlib.models import LeNetTiny
from hdlib.runs import Run
from hdlib.tasks import Split, load_images
from hdlib.training import checkpoint_name, train

SWEEP_VECTORS = 10
HARDEST = 50


def spectrum_name(step: int) -> str:
    """File of the spectrum at a checkpoint."""
    return f"spectra/step_{step:06d}.safetensors"


def sweep_name(step: int, samples: int) -> str:
    """File of the spectrum at a checkpoint from another number of samples."""
    return f"sweep/step_{step:06d}_samples_{samples:06d}.safetensors"


def draws_name(step: int) -> str:
    """File of the spectra from independent draws of 50 samples."""
    return f"draws/step_{step:06d}.safetensors"


def run(config: MnistConfig, *, root: Path | None = None) -> Run[MnistConfig]:
    """The run of ``config``: found where it is stored, else computed, or what is missing of it.

    Stages: training; the spectrum of the Hessian over ``hessian_samples`` training samples at every
    checkpoint; the sample sweep; the draws. Each file is kept as soon as it is computed.

    Args:
        config: what to compute.
        root: where to look and compute instead of the usual roots.

    Raises:
        ValueError: if the device is not there, or a data file is damaged.
        ConnectionError: if MNIST is neither found nor downloaded.
        FloatingPointError: if the loss stops being finite.
        ConvergenceError: if a spectrum cannot be certified.
    """
    found = Run.of(config) if root is None else Run(config, root)
    if not found.complete:
        device = resolve_device(config.device)
        with found.writing(device):
            if not found.complete:
                _Recipe(found, device).compute()
    return found


def model_at(run: Run[MnistConfig], step: int) -> LeNetTiny:
    """The network at a checkpoint, on the CPU."""
    model = LeNetTiny(run.config.width)
    model.load_state_dict(run.tensors(checkpoint_name(step)))
    return model


def hessian_data(config: MnistConfig, train: Split, samples: int) -> Split:
    """The first ``samples`` of a random order of the training data, drawn from ``hessian_seed``."""
    order = np.random.default_rng(config.hessian_seed).permutation(len(train.targets))[:samples]
    chosen = torch.from_numpy(order).to(train.targets.device)
    return Split(train.inputs[chosen], train.targets[chosen])


def eigenpairs(run: Run[MnistConfig], step: int, *, vectors: int) -> Spectrum:
    """Spectrum and eigenvectors at a checkpoint, recomputed from its weights; takes seconds."""
    train = load_images(run.config.dataset).train
    data = hessian_data(run.config, train, run.config.hessian_samples)
    return spectrum(hessian(model_at(run, step), F.cross_entropy, data), vectors=vectors)


def spectrum_error(run: Run[MnistConfig], step: int) -> float:
    """Largest |Δλ| / max|λ| between the stored spectrum and one recomputed from the weights.

    Raises:
        ValueError: if ``step`` is not a checkpoint of the run.
    """
    if step not in run.config.checkpoints:
        raise ValueError(f"step={step}: the checkpoints are {run.config.checkpoints}")
    stored = run.arrays(spectrum_name(step))["eigenvalues"]
    recomputed = eigenpairs(run, step, vectors=0).eigenvalues
    return float(np.abs(stored - recomputed).max() / np.abs(stored).max())


class _Recipe:
    """From config to run: computes the files that are missing."""

    def __init__(self, run: Run[MnistConfig], device: torch.device) -> None:
        self.run = run
        self.config = run.config
        self.device = device
        images = load_images(self.config.dataset)
        self.train, self.test = (
            Split(part.inputs.to(device), part.targets.to(device)) for part in images
        )

    def compute(self) -> None:
        self._train()
        steps = self.config.checkpoints
        for step in tqdm(steps, desc="spectra", unit="checkpoint", disable=None):
            self._keep("spectra", spectrum_name(step), step, self._spectrum)
        if self.config.draws:
            self._keep("draws", draws_name(steps[-1]), steps[-1], self._draws)
        for samples in self.config.sweep_sizes:
            for step in tqdm(self.config.sweep_steps, desc=f"{samples} samples", disable=None):
                compute = partial(self._sweep, samples=samples)
                self._keep("sweep", sweep_name(step, samples), step, compute)
        self.run.finish()

    def _train(self) -> None:
        config = self.config
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = LeNetTiny(config.width)
        model.to(self.device)
        epochs = range(config.n_epochs + 1)
        train(
            self.run,
            model,
            F.cross_entropy,
            torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum),
            self.train,
            self.test,
            n_steps=config.n_epochs * config.steps_per_epoch,
            batch_size=config.batch_size,
            seed=config.seed,
            checkpoints=config.checkpoints,
            log_steps=[epoch * config.steps_per_epoch for epoch in epochs],
        )

    def _keep(
        self, stage: str, name: str, step: int, compute: Callable[[int], dict[str, NDArray]]
    ) -> None:
        weights = self.run.files[checkpoint_name(step)]
        self.run.keep_arrays(name, partial(compute, step), weights=weights, stage=stage)

    def _hessian(self, step: int, data: Split) -> Tensor:
        return hessian(self._model(step), F.cross_entropy, data)

    def _model(self, step: int) -> LeNetTiny:
        return model_at(self.run, step).to(self.device)

    def _gradient(self, step: int, data: Split) -> NDArray[np.float64]:
        return gradient(self._model(step), F.cross_entropy, data).cpu().numpy()

    def _spectrum(self, step: int) -> dict[str, NDArray]:
        data = hessian_data(self.config, self.train, self.config.hessian_samples)
        result = spectrum(self._hessian(step, data), vectors=self.config.vectors)
        stored = result.top(self.config.stored_vectors).astype(np.float32)
        return _arrays(result) | {
            "layer_weights": layer_weights(result.vectors, self._model(step)),
            "gradient_cosines": squared_cosines(self._gradient(step, self.train), result.vectors),
            "sample_gradient_cosines": squared_cosines(self._gradient(step, data), result.vectors),
            "top_vectors": stored,
        }

    def _draws(self, step: int) -> dict[str, NDArray]:
        order = np.random.default_rng((self.config.hessian_seed, 1)).permutation(
            len(self.train.targets)
        )
        eigenvalues = []
        for draw in tqdm(range(self.config.draws), desc="draws", disable=None):
            chosen = torch.from_numpy(order[draw * DRAW_SIZE : (draw + 1) * DRAW_SIZE])
            data = Split(*(part[chosen.to(self.device)] for part in self.train))
            eigenvalues.append(spectrum(self._hessian(step, data), vectors=0).eigenvalues)
        return {"eigenvalues": np.stack(eigenvalues)}

    def _sweep(self, step: int, samples: int) -> dict[str, NDArray]:
        data = hessian_data(self.config, self.train, samples)
        started = time.monotonic()
        matrix = self._hessian(step, data)
        seconds = time.monotonic() - started
        self.run.record_seconds(f"hessian {sweep_name(step, samples)}", seconds)
        if samples == len(self.train.targets) and step == self.config.checkpoints[-1]:
            floor = syrk_seconds(len(matrix), 10 * samples)
            self.run.record_seconds(f"syrk {sweep_name(step, samples)}", floor)
        result = spectrum(matrix, vectors=SWEEP_VECTORS)
        top = torch.from_numpy(result.top(1)[:, 0])
        curvature = sample_curvature(self._model(step), F.cross_entropy, data, top).cpu().numpy()
        hardest = np.sort(curvature)[::-1]
        return _arrays(result) | {
            "gradient_cosines": squared_cosines(self._gradient(step, self.train), result.vectors),
            "top_curvature_shares": hardest.cumsum()[:HARDEST] / hardest.sum(),
            "effective_samples": np.array(curvature.sum() ** 2 / (curvature**2).sum()),
        }


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
