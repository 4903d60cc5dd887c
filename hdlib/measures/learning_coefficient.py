"""The local learning coefficient: how much of the weights around a point fits the data as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hdlib.curvature import ConvergenceError
from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import Door
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.streams import stream
from hdlib.loss import Loss

Projection: TypeAlias = Callable[[Tensor], Tensor]
SAMPLES = 1_000
"""In a piece of the data at the door."""
ROUNDING = 1e-4
"""Of a projection in single precision, over the norm of what it is given."""


@dataclass(frozen=True)
class LearningCoefficient:
    """λ̂ = nβ (E[L(w)] − L(w*)), over weights w that are drawn around w*.

    Attributes:
        value: λ̂, mean over the chains.
        standard_error: standard error of the mean over the chains, which start at one place and
            draw other random numbers; NaN for one chain.
        chains: (C,) λ̂ of each chain.
        losses: (C, burn-in + draws) L at the drawn weights; flat in the second part where the
            chain has come to where it stays.
        loss: L(w*).
        beta: nβ.
    """

    value: float
    standard_error: float
    chains: NDArray[np.float64]
    losses: NDArray[np.float64]
    loss: float
    beta: float

    def __repr__(self) -> str:
        """λ̂ with its error, and what it came from."""
        count, length = self.losses.shape
        return (
            f"LearningCoefficient({self.value:.4g} ± {self.standard_error:.2g}, "
            f"{count} chains of {length} draws)"
        )


@torch.inference_mode(False)
def learning_coefficient(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    step_size: float,
    localisation: float,
    beta: float | None = None,
    batch_size: int | None = None,
    chains: int = 4,
    burn_in: int = 200,
    draws: int = 200,
    parameters: Sequence[str] | None = None,
    within: Projection | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> LearningCoefficient:
    """The local learning coefficient at the weights of a model, by Langevin dynamics.

    Weights are drawn from the posterior exp(−nβ L(w) − γ/2 ‖w − w*‖²) around the given ones, by
    stochastic gradients (Welling & Teh 2011)

        w ← w − ε/2 (nβ ∇L(w) + γ (w − w*)) + √ε ξ,   ξ ~ N(0, 1),

    and λ̂ = nβ (E[L(w)] − L(w*)) (Lau et al. 2023). Where L is a parabola with eigenvalues h, and
    the step small, it is ½ Σ nβh / (nβh + γ), half the number of directions that are steep beside
    γ: a flat or a singular minimum has less. Restricted to some weights, or to a subspace of them,
    it is the refined coefficient (Wang et al. 2024), of a head or of what a frequency is made of.

    Args:
        model: module with w*; it stays as it is.
        loss: as for `hdlib.hessian`.
        data: as for `hdlib.hessian`; n samples in all.
        step_size: ε. An eigenvalue h makes the chain leave where ε (nβh + γ) is above 4, and
            makes λ̂ too large by the factor 1 / (1 − ε (nβh + γ)/4) of its share before that.
        localisation: γ, which holds the chain at w*.
        beta: nβ; n / log n by default, as Watanabe (2013) has it.
        batch_size: samples of each gradient and of the loss that is averaged, drawn anew for each
            step without replacement; all of them by default.
        chains: independent chains, all from w*.
        burn_in: steps of each chain that are left out.
        draws: steps of each chain that count.
        parameters: names of parameters or modules that move; by default all that require grad.
        within: orthogonal projection of vectors of these weights, (P,) ↦ (P,), onto the subspace in
            which they move; all by default.
        seed: of noise and batches.
        dtype: type of the computation.

    Raises:
        ValueError: if a number is out of range, or ``within`` is no orthogonal projection.
        ConvergenceError: if a chain runs away.

    Example:
        >>> x = torch.eye(4)
        >>> at_the_minimum = nn.Linear(4, 1, bias=False)
        >>> half_square = lambda outputs, targets: (outputs - targets).square().mean() / 2
        >>> y = at_the_minimum(x).detach()
        >>> found = learning_coefficient(at_the_minimum, half_square, (x, y), step_size=0.1,
        ...     localisation=1e-3, beta=8.0, chains=8, draws=1_000)
        >>> abs(found.value - 2) < 4 * found.standard_error
        True
    """
    _require_possible(step_size, localisation, batch_size, chains, burn_in, draws)
    objective = Objective(model, loss, parameters=parameters, dtype=dtype)
    batch = _whole(objective, data)
    n = len(batch)
    if batch_size is not None and batch_size > n:
        raise ValueError(f"batch_size={batch_size}: there are {n} samples")
    if beta is None:
        if n < 2:
            raise ValueError(f"beta is n / log n by default: give it for n={n}")
        beta = n / math.log(n)
    if not beta > 0:
        raise ValueError(f"beta={beta}: must be positive")
    chain = _Chain(objective, batch, step_size, localisation, beta, batch_size, within)
    with twice_differentiable(dtype):
        first = chain.loss()
        losses = np.array([chain.run(burn_in + draws, seed, c) for c in range(chains)])
    each = beta * (losses[:, burn_in:].mean(1) - first)
    error = each.std(ddof=1) / math.sqrt(chains) if chains > 1 else math.nan
    return LearningCoefficient(float(each.mean()), float(error), each, losses, first, beta)


class _Chain:
    """Langevin dynamics around the weights of an objective."""

    def __init__(
        self,
        objective: Objective,
        batch: Batch,
        step_size: float,
        localisation: float,
        beta: float,
        batch_size: int | None,
        within: Projection | None,
    ) -> None:
        self._objective, self._batch, self._batch_size = objective, batch, batch_size
        self._step_size, self._localisation, self._beta = step_size, localisation, beta
        self._weights = list(objective.parameters.values())
        self._start = parameters_to_vector(self._weights).detach().clone()
        self._within = within or (lambda vector: vector)
        if within is not None:
            probes = torch.randn(2, len(self._start), generator=stream("projection", 0))
            _require_projection(within, probes.to(self._start))

    def loss(self) -> float:
        """L(w*)."""
        with torch.no_grad():
            return self._objective.value(self._batch).item()

    def run(self, steps: int, seed: int, number: int) -> list[float]:
        """L at each of so many draws of one chain."""
        generator = torch.Generator().manual_seed(_chain_seed(seed, number))
        weights, losses = self._start.clone(), []
        for _ in range(steps):
            vector_to_parameters(weights, self._weights)
            value = self._objective.value(self._drawn(generator))
            losses.append(value.item())
            if not math.isfinite(losses[-1]):
                raise ConvergenceError(
                    f"step_size={self._step_size}: the chain ran away, L is {losses[-1]} after "
                    f"{len(losses)} steps; take a smaller one, or a larger localisation"
                )
            slope = torch.cat([s.flatten() for s in self._objective.slopes(value)])
            drift = self._beta * slope + self._localisation * (weights - self._start)
            noise = torch.randn(len(weights), generator=generator).to(weights)
            step = math.sqrt(self._step_size) * noise - self._step_size / 2 * drift
            weights = weights + self._within(step)
        vector_to_parameters(self._start, self._weights)
        return losses

    def _drawn(self, generator: torch.Generator) -> Batch:
        if self._batch_size is None:
            return self._batch
        rows = torch.randperm(len(self._batch), generator=generator)[: self._batch_size]
        return self._batch[rows]


def _chain_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def _whole(objective: Objective, data: Data) -> Batch:
    """The data as one batch, once they are through the door."""
    batches = list(objective.batches(data))
    for _ in Door(objective, order=1).pieces(iter(batches), SAMPLES, directions=0):
        pass
    whole = reduce(Batch.joined, batches)
    return whole.to(objective.device, objective.dtype)


def _require_possible(
    step_size: float,
    localisation: float,
    batch_size: int | None,
    chains: int,
    burn_in: int,
    draws: int,
) -> None:
    if not step_size > 0:
        raise ValueError(f"step_size={step_size}: must be positive")
    if not localisation >= 0:
        raise ValueError(f"localisation={localisation}: must not be negative")
    least = {"batch_size": (batch_size, 1), "chains": (chains, 1), "draws": (draws, 1)}
    for name, (value, smallest) in (least | {"burn_in": (burn_in, 0)}).items():
        if value is not None and value < smallest:
            raise ValueError(f"{name}={value}: must be at least {smallest}")


def _require_projection(within: Projection, probes: Tensor) -> None:
    u, v = probes
    pu, pv = within(u), within(v)
    scale = float(u.norm() * v.norm())
    twice, across = float((within(pu) - pu).norm()), float(abs(u @ pv - v @ pu))
    if not (twice <= ROUNDING * float(u.norm()) and across <= ROUNDING * scale):
        raise ValueError(
            "within must be an orthogonal projection: applied twice it moves a vector by "
            f"{twice:.2g}, and u·Pv − v·Pu is {across:.2g}"
        )
