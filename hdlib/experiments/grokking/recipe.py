"""A one-layer transformer on modular arithmetic: its spectrum through sudden generalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from hdlib.device import resolve_device
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.measures import circuit_frequencies, circuit_measures
from hdlib.experiments.grokking.spectra import (
    adam_measures,
    eigenpairs,
    function_measures,
    spectrum_measures,
    stored_spectrum,
)
from hdlib.models import ModularTransformer
from hdlib.parallel import one_thread, side_by_side
from hdlib.runs import Run
from hdlib.training import (
    checkpoint_name,
    cross_entropy_float64,
    grokking_steps,
    optimizer_name,
    stored_checkpoints,
    train,
)

AT_ONCE = 2
"""Spectra computed side by side, where there are threads for it."""
RESOLUTION = 0.08
"""A checkpoint wherever the test accuracy has moved by this much."""


def run(config: GrokkingConfig, *, root: Path | None = None) -> Run[GrokkingConfig]:
    """The run of ``config``: found where it is stored, else computed, or what is missing of it.

    Stages: training; at every checkpoint the circuit's measures, the certified ends of the
    Hessian's spectrum over all training pairs with what is measured along the eigenvectors. Each
    file is kept as soon as it is computed. At last only some of the weights are kept; at their
    checkpoints also what the leading eigenvectors do to the network's function.

    Args:
        config: network, training and measures.
        root: folder to look and compute in, instead of the usual roots.

    Raises:
        ValueError: if the device is not there.
        FloatingPointError: if the loss stops being finite.
    """
    found = Run.of(config) if root is None else Run(config, root)
    if not found.complete:
        device = resolve_device(config.device)
        with found.writing(device):
            if not found.complete:
                _Recipe(found, device).compute()
    return found


def measures_name(step: int) -> str:
    """File of the circuit's measures at a checkpoint."""
    return f"measures/step_{step:06d}.safetensors"


def spectrum_name(step: int) -> str:
    """File of the spectrum at a checkpoint."""
    return f"spectra/step_{step:06d}.safetensors"


def functions_name(step: int) -> str:
    """File of what the leading eigenvectors do to the function at a checkpoint."""
    return f"functions/step_{step:06d}.safetensors"


def coarse_to_fine(steps: list[int]) -> list[int]:
    """The last, the first, and then always the middle of what is left between two, widest first.

    So a run that is cut short has spectra from all of training.
    """
    order = [len(steps) - 1, 0][: len(steps)]
    while len(order) < len(steps):
        known = np.sort(order)
        widest = int(np.diff(known).argmax())
        order.append(int(known[widest] + known[widest + 1]) // 2)
    return [steps[index] for index in order]


def model_at(run: Run[GrokkingConfig], step: int) -> ModularTransformer:
    """The network at a checkpoint, on the CPU."""
    model = run.config.model()
    model.load_state_dict(run.tensors(checkpoint_name(step)))
    return model


def spectrum_steps(run: Run[GrokkingConfig]) -> list[int]:
    """Checkpoints of which a run has both weights and a spectrum."""
    return [step for step in stored_checkpoints(run) if spectrum_name(step) in run.files]


def spectrum_error(run: Run[GrokkingConfig], step: int) -> float:
    """Largest |Δλ| / max|λ| between stored and recomputed eigenvalues that are certified in both.

    Raises:
        ValueError: if ``step`` is not a checkpoint with weights, or the run has no spectra.
    """
    if step not in spectrum_steps(run):
        raise ValueError(f"step={step}: weights and a spectrum are kept at {spectrum_steps(run)}")
    recomputed = eigenpairs(run.config, model_at(run, step))
    stored = stored_spectrum(run.config, run.arrays(spectrum_name(step)))
    sure = [found.certified_ends() for found in (stored, recomputed)]
    low, high = min(s.lowest for s in sure), min(s.highest for s in sure)
    a, b = (found.ends(lowest=low, highest=high).eigenvalues for found in sure)
    return float(np.abs(a - b).max(initial=0) / np.abs(stored.eigenvalues).max())


class _Recipe:
    """From config to run: computes the files that are missing."""

    def __init__(self, run: Run[GrokkingConfig], device: torch.device) -> None:
        self.run = run
        self.config = run.config
        self.device = device
        self.task = self.config.task

    def compute(self) -> None:
        self._train()
        steps = stored_checkpoints(self.run)
        frequencies = circuit_frequencies(self._model(steps[-1]))
        for step in tqdm(steps, desc="measures", unit="checkpoint", disable=None):
            self._keep("measures", measures_name(step), step, partial(self._measures, frequencies))
        order = coarse_to_fine(steps)[: self.config.spectra]
        self._side_by_side("spectra", spectrum_name, order, partial(self._spectrum, frequencies))
        kept = coarse_to_fine(steps)[: self.config.stored_weights]
        functions = partial(self._functions, frequencies)
        self._side_by_side("functions", functions_name, kept[: self.config.spectra], functions)
        self._thin(steps, kept)
        self.run.finish()

    def _train(self) -> None:
        config = self.config
        model = config.model().to(self.device)
        splits = [
            (part.tokens().to(self.device), part.targets.to(self.device))
            for part in (self.task.train, self.task.test)
        ]
        with one_thread():
            train(
                self.run,
                model,
                cross_entropy_float64,
                torch.optim.AdamW(
                    model.parameters(),
                    lr=config.lr,
                    betas=(config.beta1, config.beta2),
                    weight_decay=config.weight_decay,
                    fused=True,
                ),
                *splits,
                n_steps=config.n_steps,
                seed=config.seed,
                checkpoints=grokking_steps(config.n_steps),
                log_steps=range(0, config.n_steps + 1, config.log_every),
                resolution=RESOLUTION,
                keep_optimizer=True,
            )

    def _side_by_side(
        self,
        stage: str,
        name: Callable[[int], str],
        steps: list[int],
        compute: Callable[[tuple[int, ModularTransformer]], dict[str, NDArray]],
    ) -> None:
        """Compute what is missing of a stage, several checkpoints at once."""
        missing = [step for step in steps if not self._holds(name(step), step)]
        found = side_by_side(
            compute,
            zip(missing, map(self._model, missing), strict=True),
            at_once=AT_ONCE if self.device.type == "cpu" else 1,
        )
        for step in tqdm(missing, desc=stage, unit="checkpoint", disable=None):
            self._keep(stage, name(step), step, lambda _: next(found))

    def _keep(
        self, stage: str, name: str, step: int, compute: Callable[[int], dict[str, NDArray]]
    ) -> None:
        weights = self.run.files[checkpoint_name(step)]
        self.run.keep_arrays(name, partial(compute, step), weights=weights, stage=stage)

    def _holds(self, name: str, step: int) -> bool:
        return self.run.holds(name, weights=self.run.files[checkpoint_name(step)])

    def _model(self, step: int) -> ModularTransformer:
        return model_at(self.run, step).to(self.device)

    def _measures(self, frequencies: NDArray[np.int64], step: int) -> dict[str, NDArray]:
        measured = circuit_measures(self._model(step), self.task, frequencies)
        return measured | {"frequencies": frequencies}

    def _spectrum(
        self, frequencies: NDArray[np.int64], checkpoint: tuple[int, ModularTransformer]
    ) -> dict[str, NDArray]:
        step, model = checkpoint
        measured = spectrum_measures(self.config, model, frequencies)
        if step == 0:
            # Adam has no second moment before its first update.
            return measured
        state = self.run.tensors(optimizer_name(step))
        moments = [state[f"{i}.exp_avg_sq"].flatten() for i in range(len(state) // 3)]
        return measured | adam_measures(self.config, model, torch.cat(moments), step=step)

    def _functions(
        self, frequencies: NDArray[np.int64], checkpoint: tuple[int, ModularTransformer]
    ) -> dict[str, NDArray]:
        return function_measures(self.config, checkpoint[1], frequencies)

    def _thin(self, steps: list[int], kept: list[int]) -> None:
        """Keep the weights of some checkpoints, and no optimiser's states."""
        for step in steps:
            self.run.remove(optimizer_name(step))
            if step not in kept:
                self.run.remove(checkpoint_name(step))
