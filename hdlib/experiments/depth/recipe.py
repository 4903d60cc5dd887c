"""From config to run: sharpness and spectra of an MLP through its training."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.curvature import (
    HessianOperator,
    PreconditionedOperator,
    gradient,
    hessian,
    lanczos,
    spectrum,
)
from hdlib.experiments.depth.config import DepthConfig, DepthGrid
from hdlib.experiments.depth.sharpness import BETA1, BETA2, adam_sharpness, sharpness
from hdlib.experiments.ends import certified_agreement, end_arrays
from hdlib.experiments.room import require_matrices
from hdlib.measures import squared_cosines
from hdlib.models import encoded
from hdlib.store import Arrays, ArrayStage, Experiment, Run, agreement
from hdlib.training import (
    Batches,
    Log,
    Plan,
    Schedule,
    TrainingStage,
    adamw,
    coarse_to_fine,
    cross_entropy_float64,
    pair_evaluation,
    supervised,
)

EARLY = (0, 10, 50, 100, 200, 500)
EVERY = 1_000
"""Steps between later checkpoints."""
ADAM_EVERY = 5
"""The largest eigenvalue as Adam sees it is looked for at one in so many of the others."""
PROBES, NODES = 2, 40
"""Of the quadrature for the whole density."""
TOLERANCE = 1e-6
MOST_PRODUCTS = 240
"""Of a search for both ends: enough for the upper one; what the lower one has not, is marked."""

DepthRun: TypeAlias = Run[DepthConfig]


def checkpoints(config: DepthConfig) -> list[int]:
    """Steps at which weights are kept: dense at the start, and the last."""
    regular = {*EARLY, *range(EVERY, config.n_steps, EVERY)}
    return sorted({step for step in regular if step < config.n_steps} | {config.n_steps})


def _schedule(config: DepthConfig) -> Schedule:
    return Schedule.of(
        config.n_steps,
        checkpoints=checkpoints(config),
        log_steps=range(0, config.n_steps + 1, config.log_every),
    )


def _data(config: DepthConfig, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    train = config.task.train
    return encoded(train, config.encoding).to(device), train.targets.to(device)


def _plan(config: DepthConfig, device: torch.device) -> Plan:
    model = config.model().to(device)
    data = _data(config, device)
    encode = partial(encoded, encoding=config.encoding)
    logs = [
        Log(pair_evaluation(cross_entropy_float64, config.task, encode, device)),
        Log(partial(sharpness, data=data), every=config.sharpness_every),
    ]
    if config.optimizer == "adam":
        optimizer = adamw(
            model, lr=config.lr, weight_decay=config.weight_decay, beta1=BETA1, beta2=BETA2
        )
        every = ADAM_EVERY * config.sharpness_every
        logs.append(Log(partial(adam_sharpness, data=data), every=every))
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
    return Plan(
        model,
        optimizer,
        Batches(*data),
        supervised(cross_entropy_float64),
        logs,
        seed=config.seed,
        one_thread=True,
    )


def _published(run: DepthRun) -> list[int]:
    """The last checkpoint, of the first seed: of all, they would be more than git should hold."""
    return TRAINING.checkpoints(run)[-1:] if run.config.seed == 0 else []


TRAINING = TrainingStage(
    "depth/training",
    fields=(
        *("p", "width", "depth", "encoding", "train_fraction", "unordered", "optimizer", "lr"),
        *("weight_decay", "log_every", "sharpness_every", "seed"),
    ),
    model=DepthConfig.model,
    schedule=_schedule,
    plan=_plan,
    published=_published,
    extendable=lambda run: False,
)


def _spectrum(run: DepthRun, step: int) -> Arrays:
    """The ends of the spectrum, its density, and where the gradient lies in it.

    ``adaptive_eigenvalue`` is the largest eigenvalue of diag(|θ|) H diag(|θ|), which does not
    change where a factor is moved from a layer, or from the inputs, to the next (Kwon et al. 2021,
    elementwise).
    """
    config, data = run.config, _data(run.config, run.device)
    model = TRAINING.model(run, step).to(run.device)
    operator = HessianOperator(model, F.cross_entropy, data)
    ends = lanczos(
        operator,
        top=config.eigenpairs,
        bottom=config.eigenpairs,
        tol=TOLERANCE,
        max_products=MOST_PRODUCTS,
        mark=True,
    )
    arrays = end_arrays(operator, ends, probes=PROBES, nodes=NODES)
    slope = gradient(model, F.cross_entropy, data).cpu().numpy()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()]).double()
    scaled = PreconditionedOperator(operator, weights.square().clamp_min(1e-300).reciprocal())
    adaptive = lanczos(scaled, top=1, bottom=0, tol=1e-3, max_products=MOST_PRODUCTS, mark=True)
    return arrays | {
        "gradient_cosines": squared_cosines(slope, ends.vectors),
        "adaptive_eigenvalue": adaptive.eigenvalues,
        "adaptive_residual": adaptive.residuals,
    }


def _exact(run: DepthRun, step: int) -> Arrays:
    """All eigenvalues, of the Hessian as a matrix."""
    model, data = TRAINING.model(run, step).to(run.device), _data(run.config, run.device)
    found = spectrum(hessian(model, F.cross_entropy, data), vectors=0)
    return {"eigenvalues": found.eigenvalues}


def _certified(arrays: Arrays) -> NDArray[np.bool_]:
    return arrays["residuals"] <= TOLERANCE * np.abs(arrays["eigenvalues"]).max()


SPECTRA = ArrayStage(
    "depth/spectra",
    fields=("n_steps", "eigenpairs"),
    needs=(TRAINING,),
    items=lambda run: coarse_to_fine(TRAINING.checkpoints(run))[: run.config.spectra],
    sources=TRAINING.weights_source,
    compute=_spectrum,
    agreement=certified_agreement(_certified, allowed=2 * TOLERANCE),
)
EXACT = ArrayStage(
    "depth/exact",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=lambda run: coarse_to_fine(TRAINING.checkpoints(run))[: run.config.exact],
    sources=TRAINING.weights_source,
    compute=_exact,
    agreement=agreement(eigenvalues=1e-9),
)


def require_room(config: DepthConfig) -> None:
    """Refuse an exact Hessian that cannot fit, before the network is trained.

    Raises:
        MemoryError: if it does not; names the depth, and what is there.
    """
    if config.exact:
        require_matrices("depth", config.depth, config.n_parameters)


EXPERIMENT = Experiment(
    DepthConfig,
    (TRAINING, SPECTRA, EXACT),
    cost="two minutes on one core",
    room=require_room,
    grid=DepthGrid,
)
run = EXPERIMENT.run
