"""The grokking experiment with other seeds and other networks: does it hold, and when?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from math import sqrt
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking.clusters import PurityResults
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.learning import CoefficientResults
from hdlib.experiments.grokking.recipe import MEASURES, SPECTRA, WHOLE, WHOLE_SPECTRA, run
from hdlib.experiments.grokking.small import WholeResults
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.training import SEEDS, TRAINING
from hdlib.measures.pairs import grid_logits, pair_accuracies
from hdlib.store import Run
from hdlib.training import MIRRORED, OTHERS, steps_to

T = TypeVar("T")

WITH_SPECTRUM = 9
"""Checkpoints with a spectrum, of all runs but the chapter's, which has more."""
LEVELS = 20
"""Leading eigenvalues that are shown as levels."""
LEARNT = 0.95
"""Test accuracy from which a network counts as having generalised."""
_with_ends = partial(
    GrokkingConfig,
    spectra=WITH_SPECTRUM,
    lower_ends=0,
    purities=1,
    coefficients=0,
    eigenpairs=30,
    max_products=400,
    stored_weights=1,
)
_without_spectra = partial(GrokkingConfig, spectra=0, purities=0, coefficients=0, stored_weights=1)
_attention_only = partial(
    _without_spectra,
    activation="none",
    train_fraction=0.3,
    init_scale=sqrt(128),
    n_steps=50_000,
)

CHAPTER = "ReLU after attention, 40% of pairs"
NETWORKS: dict[str, list[GrokkingConfig]] = {
    CHAPTER: [GrokkingConfig(), *(_with_ends(seed=seed) for seed in SEEDS[1:])],
    "MLP of 512 neurons, 30%": [
        _without_spectra(
            activation="none",
            mlp_width=512,
            equals_logit=True,
            train_fraction=0.3,
            # The first is not there after as many steps as the others have.
            n_steps=20_000 if seed == 0 else 12_000,
            seed=seed,
        )
        for seed in SEEDS
    ],
    # An initial embedding of standard deviation 1, as PyTorch's default has.
    "attention only, 30%": [_attention_only(seed=seed) for seed in SEEDS],
    # And matrices as PyTorch's linear layers have them.
    "attention only, 30%, uniform start": [
        _attention_only(matrix_start="uniform", seed=seed) for seed in SEEDS
    ],
}
"""The networks of the chapter and of the literature, one config for each seed."""
HEADS: list[GrokkingConfig] = [
    GrokkingConfig() if (n_heads, seed) == (4, 0) else _with_ends(n_heads=n_heads, seed=seed)
    for n_heads in (1, 2, 4, 8)
    for seed in SEEDS
]
"""The chapter's network with one to eight heads, from each seed."""
AGAIN = GrokkingConfig(seed=3, purities=25)
"""The chapter's network from a seed that nothing had been looked at in, measured as it was; its
functions at fewer checkpoints, for smaller files."""
SMALL = _with_ends(
    width=32, n_heads=1, eigenpairs=200, max_products=1_200, stored_weights=WHOLE_SPECTRA
)
"""The network that the original work measured, 11,456 parameters: all of its eigenvalues."""
OTHER_HEADS, FEW_PAIRS, UNIFORM = "width 96", "20% of the pairs", "uniform attention"
CONTROLS: dict[str, list[GrokkingConfig]] = {
    OTHER_HEADS: [
        _with_ends(width=96, n_heads=heads, seed=seed) for heads in (3, 6) for seed in SEEDS
    ],
    FEW_PAIRS: [
        _with_ends(train_fraction=0.2, seed=seed, stored_weights=5, coefficients=5)
        for seed in SEEDS
    ],
    UNIFORM: [_with_ends(attention="uniform", seed=seed) for seed in SEEDS],
}
"""Other numbers of heads; pairs too few to generalise; attention that has nothing to choose."""


class Outcome(NamedTuple):
    """How far a run came.

    Attributes:
        steps: training steps.
        accuracy: accuracy on all test pairs at the end.
        mirrored: accuracy on test pairs whose mirror is a training pair.
        others: accuracy on the other test pairs.
        learnt: step at which 95% of the test pairs were right; None where they never were.
        frequencies: key frequencies of the unembedding.
        explained: share of the logits' variance that these explain.
    """

    steps: int
    accuracy: float
    mirrored: float
    others: float
    learnt: int | None
    frequencies: list[int]
    explained: float


class HeadGap(NamedTuple):
    """Ratios of neighbouring leading eigenvalues of a network with several heads, T checkpoints.

    Attributes:
        heads: number of heads, h.
        seed: seed of the run.
        steps: (T,) checkpoints with a spectrum.
        ratios: (T, 12), λₖ / λₖ₊₁ for k = 1 … 12.
        early: (T,) bool, after the first update and with less than half of all test pairs right.
        accuracy: accuracy on all test pairs at the end.
    """

    heads: int
    seed: int
    steps: NDArray
    ratios: NDArray
    early: NDArray[np.bool_]
    accuracy: float

    @property
    def below(self) -> NDArray:
        """λₕ / λₕ₊₁ at the early checkpoints."""
        return self.ratios[self.early, self.heads - 1]

    @property
    def widest(self) -> NDArray[np.int64]:
        """Rank of the largest ratio at the early checkpoints, from 1."""
        return self.ratios[self.early].argmax(1) + 1

    @property
    def at_the_end(self) -> float:
        """λₕ / λₕ₊₁ at the last checkpoint."""
        return float(self.ratios[-1, self.heads - 1])

    @property
    def generalised(self) -> bool:
        """Whether 95% of the test pairs are right at the end."""
        return self.accuracy >= LEARNT


class GrokkingSweep:
    """Learning curves, circuits and leading eigenvalues of all runs of the sweep.

    Read where they are stored, or computed.
    """

    @cached_property
    def networks(self) -> dict[str, list[Run[GrokkingConfig]]]:
        """Runs of each network, one for each seed."""
        return {name: [run(config) for config in group] for name, group in NETWORKS.items()}

    @cached_property
    def heads(self) -> list[Run[GrokkingConfig]]:
        """Runs with one to eight heads."""
        return [run(config) for config in HEADS]

    def accuracies(self) -> dict[str, list[tuple[NDArray, NDArray]]]:
        """(steps, test accuracy) of each run of each network."""
        return {
            name: [_accuracy(found) for found in group] for name, group in self.networks.items()
        }

    @cached_property
    def outcomes(self) -> dict[str, list[Outcome]]:
        """How far each run of each network came."""
        return {name: [_outcome(found) for found in group] for name, group in self.networks.items()}

    def leading(self) -> dict[str, tuple[NDArray, NDArray, int, tuple[int, int] | None]]:
        """Steps, leading eigenvalues, number of heads and transition of the runs by heads."""
        return {
            head_name(found): (
                *leading_eigenvalues(found),
                found.config.n_heads,
                transition(*_accuracy(found)),
            )
            for found in self.heads
        }

    @cached_property
    def gaps(self) -> dict[str, HeadGap]:
        """Ratios of the leading eigenvalues of the same runs."""
        return {head_name(found): _head_gap(found) for found in self.heads}

    @cached_property
    def purities(self) -> dict[str, PurityResults]:
        """Purities of the same runs."""
        return {head_name(found): PurityResults(found) for found in self.heads}

    @cached_property
    def controls(self) -> dict[str, dict[str, Run[GrokkingConfig]]]:
        """Runs that try to break what was found of heads, by kind and name."""
        return {
            kind: {head_name(found): found for found in map(run, group)}
            for kind, group in CONTROLS.items()
        }

    @cached_property
    def control_gaps(self) -> dict[str, dict[str, HeadGap]]:
        """Ratios of the leading eigenvalues of these."""
        return _each(_head_gap, self.controls)

    @cached_property
    def control_purities(self) -> dict[str, dict[str, PurityResults]]:
        """Purities of these."""
        return _each(PurityResults, self.controls)

    @cached_property
    def memorising_coefficients(self) -> dict[str, CoefficientResults]:
        """Local learning coefficients of the networks with too few pairs to generalise."""
        return {name: CoefficientResults(found) for name, found in self.controls[FEW_PAIRS].items()}

    @cached_property
    def small(self) -> WholeResults:
        """All eigenvalues of the small network."""
        return WholeResults(run(SMALL))

    def whole(self, found: Run[GrokkingConfig]) -> WholeResults:
        """All eigenvalues of a run, or of the small network where the run's is too large."""
        return WholeResults(found) if WHOLE.steps(found) else self.small

    @property
    def levels(self) -> dict[str, tuple[NDArray, NDArray[np.int64]]]:
        """Leading eigenvalues at the end and the frequency of each, 0 where it is not of one.

        Of the networks with uniform attention, and with one and with four heads.
        """
        by_heads = {
            kind: [of for of in self.purities.values() if of.run.config.n_heads == heads]
            for kind, heads in (("1 head", 1), ("4 heads", 4))
        }
        groups = {"uniform": [*self.control_purities[UNIFORM].values()]} | by_heads
        return {
            f"{kind}\nseed {of.run.config.seed}": (
                of.arrays(of.steps[-1])["eigenvalues"][:LEVELS],
                of.pure(of.steps[-1])[:LEVELS],
            )
            for kind, group in groups.items()
            for of in group
        }


def leading_eigenvalues(found: Run[GrokkingConfig]) -> tuple[NDArray, NDArray]:
    """Steps of a run's checkpoints with a spectrum, (T,), and (T, LEADING + 1) eigenvalues."""
    steps = SPECTRA.steps(found)
    tops = [found.arrays(SPECTRA, step)["eigenvalues"][::-1] for step in steps]
    return np.array(steps), np.stack([top[: LEADING + 1] for top in tops])


def transition(steps: NDArray, accuracy: NDArray) -> tuple[int, int] | None:
    """Steps where an accuracy first exceeds 5% and where it first exceeds 95%; None if it doesn't.

    The first is a mark on a smooth ramp, not the moment at which something happens.
    """
    left, reached = (np.flatnonzero(accuracy > level) for level in (0.05, 0.95))
    return (int(steps[left[0]]), int(steps[reached[0]])) if len(reached) else None


def head_name(found: Run[GrokkingConfig]) -> str:
    """A run of the sweep over heads, in words."""
    heads = found.config.n_heads
    return f"{heads} head{'s' * (heads > 1)}, seed {found.config.seed}"


def _each(
    of: Callable[[Run[GrokkingConfig]], T], runs: Mapping[str, Mapping[str, Run[GrokkingConfig]]]
) -> dict[str, dict[str, T]]:
    return {
        kind: {name: of(found) for name, found in group.items()} for kind, group in runs.items()
    }


def _accuracy(found: Run[GrokkingConfig]) -> tuple[NDArray, NDArray]:
    history = TRAINING.history(found)
    return history["step"], history["test_accuracy"]


def _outcome(found: Run[GrokkingConfig]) -> Outcome:
    history = TRAINING.history(found)
    last = TRAINING.checkpoints(found)[-1]
    measured, task = found.arrays(MEASURES, last), found.config.task
    pairs = pair_accuracies(grid_logits(TRAINING.model(found, last), task), task)
    return Outcome(
        int(history["step"][-1]),
        float(history["test_accuracy"][-1]),
        pairs[MIRRORED],
        pairs[OTHERS],
        steps_to(history, LEARNT),
        measured["frequencies"].tolist(),
        float(measured["explained_variance"]),
    )


def _head_gap(found: Run[GrokkingConfig]) -> HeadGap:
    steps, leading = leading_eigenvalues(found)
    logged, accuracy = _accuracy(found)
    return HeadGap(
        found.config.n_heads,
        found.config.seed,
        steps,
        leading[:, :-1] / leading[:, 1:],
        (steps > 0) & (accuracy[np.searchsorted(logged, steps)] < 0.5),
        float(accuracy[-1]),
    )
