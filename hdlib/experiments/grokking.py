"""A one-layer transformer on modular arithmetic: its spectrum through sudden generalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from tqdm import tqdm

from hdlib.config import Config
from hdlib.curvature import (
    Eigenpairs,
    HessianOperator,
    PreconditionedOperator,
    adam_diagonal,
    gradient,
    lanczos,
    spectral_density,
)
from hdlib.device import resolve_device
from hdlib.experiments.grokking_measures import (
    PROBED,
    circuit_frequencies,
    circuit_measures,
    responses,
    vector_measures,
)
from hdlib.measures import squared_cosines
from hdlib.models import Activation, ModularTransformer
from hdlib.parallel import one_thread, side_by_side
from hdlib.runs import Run
from hdlib.tasks import ModularTask, Operation, modular_task
from hdlib.training import (
    checkpoint_name,
    cross_entropy_float64,
    grokking_steps,
    optimizer_name,
    stored_checkpoints,
    train,
)

PROBES, NODES = 4, 48
"""Of the quadrature for the whole density."""
ADAM_TOLERANCE = 1e-4
AT_ONCE = 2
"""Spectra computed side by side, where there are threads for it."""
RESOLUTION = 0.08
"""A checkpoint wherever the test accuracy has moved by this much."""


class GrokkingConfig(Config):
    """What is trained, and how its curvature is measured."""

    experiment: ClassVar[str] = "grokking"

    p: Annotated[int, Field(ge=3)] = 113
    """Modulus, a prime."""
    operation: Operation = "add"
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.4
    width: Annotated[int, Field(ge=1)] = 128
    n_heads: Annotated[int, Field(ge=1)] = 4
    activation: Activation = "relu"
    """After the attention block."""
    mlp_width: Annotated[int, Field(ge=0)] = 0
    equals_logit: bool = False
    """A logit for "=", too, as Nanda et al. have."""
    init_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the standard deviation of the initial embeddings."""
    n_steps: Annotated[int, Field(ge=1)] = 17_000
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    log_every: Annotated[int, Field(ge=1)] = 100
    """Steps between rows of the history."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the split and the initial weights."""
    spectra: Annotated[int, Field(ge=0)] = 100
    """Checkpoints at which the spectrum is computed, at most: coarse to fine."""
    eigenpairs: Annotated[int, Field(ge=PROBED)] = 200
    """At each end of the spectrum."""
    max_products: Annotated[int, Field(ge=1)] = 1_200
    """Hessian-vector products of a search; pairs for which they do not suffice are marked."""
    tol: Annotated[float, Field(gt=0)] = 1e-6
    """Largest residual of an eigenpair over the largest |λ|."""
    stored_weights: Annotated[int, Field(ge=1)] = 20
    """Checkpoints of which the finished run keeps the weights, the last among them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _enough_products(self) -> GrokkingConfig:
        if self.max_products < 2 * self.eigenpairs:
            raise ValueError(
                f"max_products={self.max_products}: at least {2 * self.eigenpairs}, one for each "
                f"of {self.eigenpairs} pairs at both ends"
            )
        return self

    @property
    def task(self) -> ModularTask:
        """All pairs and their split."""
        return modular_task(
            self.p, self.operation, train_fraction=self.train_fraction, seed=self.seed
        )

    def model(self) -> ModularTransformer:
        """The network at its initial weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return ModularTransformer(
                self.p,
                width=self.width,
                n_heads=self.n_heads,
                activation=self.activation,
                mlp_width=self.mlp_width,
                equals_logit=self.equals_logit,
                init_scale=self.init_scale,
            )


def run(config: GrokkingConfig, *, root: Path | None = None) -> Run[GrokkingConfig]:
    """The run of ``config``: found where it is stored, else computed, or what is missing of it.

    Stages: training; at every checkpoint the circuit's measures, and the certified ends of the
    Hessian's spectrum over all training pairs with what is measured along the eigenvectors. Each
    file is kept as soon as it is computed. At last only some of the weights are kept.

    Args:
        config: what to compute.
        root: where to look and compute instead of the usual roots.

    Raises:
        ValueError: if the device is not there.
        FloatingPointError: if the loss stops being finite.
    """
    found = Run.of(config) if root is None else Run(config, root)
    if not found.complete:
        device = resolve_device(config.device)
        with found.writing(device):
            _Recipe(found, device).compute()
    return found


def measures_name(step: int) -> str:
    """File of the circuit's measures at a checkpoint."""
    return f"measures/step_{step:06d}.safetensors"


def spectrum_name(step: int) -> str:
    """File of the spectrum at a checkpoint."""
    return f"spectra/step_{step:06d}.safetensors"


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


def eigenpairs(config: GrokkingConfig, model: ModularTransformer) -> Eigenpairs:
    """The ends of the Hessian's spectrum over all training pairs.

    The Krylov space is built in single precision, where a product takes half the time; the pairs
    are Ritz pairs of products in double precision, and certified by them, or marked.
    """
    return lanczos(
        _hessian(config, model),
        search=_hessian(config, model, dtype=torch.float32),
        top=config.eigenpairs,
        bottom=config.eigenpairs,
        tol=config.tol,
        max_products=config.max_products,
        mark=True,
    )


def leading_vectors(
    config: GrokkingConfig, model: ModularTransformer, count: int
) -> NDArray[np.float64]:
    """Eigenvectors of the ``count`` largest eigenvalues, (P, count), the largest first.

    Certified to the config's tolerance.
    """
    found = lanczos(_hessian(config, model), top=count, bottom=0, tol=config.tol)
    return found.vectors[:, ::-1]


def spectrum_steps(run: Run[GrokkingConfig]) -> list[int]:
    """Checkpoints of which a run has both weights and a spectrum."""
    return [step for step in stored_checkpoints(run) if spectrum_name(step) in run.files]


def spectrum_error(run: Run[GrokkingConfig], step: int) -> float:
    """Largest |Δλ| / max|λ| between stored and recomputed eigenvalues, over the certified pairs.

    Raises:
        ValueError: if ``step`` is not a checkpoint with weights, or the run has no spectra.
    """
    if step not in spectrum_steps(run):
        raise ValueError(f"step={step}: weights and a spectrum are kept at {spectrum_steps(run)}")
    stored = run.arrays(spectrum_name(step))
    recomputed = eigenpairs(run.config, model_at(run, step))
    both = stored["converged"] & recomputed.converged
    error = np.abs(stored["eigenvalues"] - recomputed.eigenvalues)[both].max(initial=0)
    return float(error / np.abs(stored["eigenvalues"]).max())


def _hessian(
    config: GrokkingConfig, model: ModularTransformer, dtype: torch.dtype = torch.float64
) -> HessianOperator:
    train = config.task.train
    return HessianOperator(model, F.cross_entropy, (train.tokens(), train.targets), dtype=dtype)


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
        missing = [step for step in order if not self._holds(spectrum_name(step), step)]
        models = [self._model(step) for step in missing]
        spectra = side_by_side(
            partial(self._spectrum, frequencies),
            zip(missing, models, strict=True),
            at_once=AT_ONCE if self.device.type == "cpu" else 1,
        )
        for step in tqdm(missing, desc="spectra", unit="checkpoint", disable=None):
            self._keep("spectra", spectrum_name(step), step, lambda _: next(spectra))
        self._thin(steps)
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
        pairs = eigenpairs(self.config, model)
        vectors = torch.from_numpy(pairs.vectors)
        quick = _hessian(self.config, model, dtype=torch.float32)
        sure = torch.from_numpy(pairs.converged)
        known = (
            torch.from_numpy(pairs.eigenvalues)[sure].to(self.device),
            vectors[:, sure].to(self.device),
        )
        density = spectral_density(quick, probes=PROBES, steps=NODES, deflate=known)
        data = self.task.train.tokens().to(self.device), self.task.train.targets.to(self.device)
        slope = gradient(model, F.cross_entropy, data).cpu().numpy()
        random = np.random.default_rng(0).standard_normal((len(vectors), PROBED))
        random /= np.linalg.norm(random, axis=0)
        top = pairs.vectors[:, ::-1][:, :PROBED]
        return (
            {
                "eigenvalues": pairs.eigenvalues,
                "residuals": pairs.residuals,
                "converged": pairs.converged,
                "products": np.array(pairs.products),
                "density_diagonal": density.diagonal,
                "density_coupling": density.coupling,
                "gradient_cosines": squared_cosines(slope, pairs.vectors),
                "responses": responses(model, self.task, frequencies, top),
                "random_responses": responses(model, self.task, frequencies, random),
            }
            | vector_measures(model, pairs.vectors, frequencies)
            | self._preconditioned(step, model)
        )

    def _preconditioned(self, step: int, model: ModularTransformer) -> dict[str, NDArray]:
        """Largest eigenvalue of the Hessian as Adam sees it; none before the first update."""
        if step == 0:
            return {}
        state = self.run.tensors(optimizer_name(step))
        moments = [state[f"{i}.exp_avg_sq"].flatten() for i in range(len(state) // 3)]
        config = self.config
        diagonal = adam_diagonal(
            torch.cat(moments), step=step, beta1=config.beta1, beta2=config.beta2
        )
        seen, search = (
            PreconditionedOperator(_hessian(config, model, dtype), diagonal.to(self.device))
            for dtype in (torch.float64, torch.float32)
        )
        pairs = lanczos(seen, search=search, top=1, bottom=0, tol=ADAM_TOLERANCE)
        return {"adam_eigenvalue": pairs.eigenvalues, "adam_residual": pairs.residuals}

    def _thin(self, steps: list[int]) -> None:
        """Keep the weights of some checkpoints, coarse to fine, and no optimiser's states."""
        kept = coarse_to_fine(steps)[: self.config.stored_weights]
        for step in steps:
            self.run.remove(optimizer_name(step))
            if step not in kept:
                self.run.remove(checkpoint_name(step))
