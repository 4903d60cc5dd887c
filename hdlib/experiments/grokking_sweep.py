"""The grokking experiment with other seeds and other networks: does it hold, and when?"""

from __future__ import annotations

from functools import cached_property, partial
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, extent, table
from hdlib.experiments.grokking import (
    measures_name,
    model_at,
    run,
    spectrum_name,
)
from hdlib.experiments.grokking_config import GrokkingConfig
from hdlib.experiments.grokking_measures import MIRRORED, OTHERS, grid_logits, pair_accuracies
from hdlib.experiments.grokking_nulls import widest_by_chance
from hdlib.runs import Run
from hdlib.training import HISTORY, stored_checkpoints

SEEDS = (0, 1, 2)
SPECTRA = 9
"""Checkpoints with a spectrum, of all runs but the chapter's, which has more."""
LEADING = 12
"""Gaps that are looked at, the first ones."""
LEARNT = 0.95
"""Test accuracy from which a network counts as having generalised."""
OUTCOME = (
    "steps",
    "test accuracy at the end",
    "of mirrored / other pairs",
    f"{LEARNT:.0%} at step",
    "key frequencies",
    "variance explained",
)
"""What is told of each run."""
_with_ends = partial(
    GrokkingConfig, spectra=SPECTRA, eigenpairs=30, max_products=400, stored_weights=1
)
_without_spectra = partial(GrokkingConfig, spectra=0, stored_weights=1)

CHAPTER = "ReLU after attention, 40% of pairs"
NETWORKS: dict[str, list[GrokkingConfig]] = {
    CHAPTER: [GrokkingConfig(), *(_with_ends(seed=seed) for seed in SEEDS[1:])],
    "MLP of 512 neurons, 30%": [
        _without_spectra(
            activation="none",
            mlp_width=512,
            equals_logit=True,
            train_fraction=0.3,
            n_steps=n_steps,
            seed=seed,
        )
        for seed, n_steps in zip(SEEDS, (20_000, 12_000, 12_000), strict=True)
    ],
    # An initial embedding of standard deviation 1, as PyTorch's default has.
    "attention only, 30%": [
        _without_spectra(
            activation="none", train_fraction=0.3, n_steps=150_000, init_scale=sqrt(128)
        )
    ],
}
"""The networks of the chapter and of the literature, one config for each seed."""


HEADS: list[GrokkingConfig] = [
    GrokkingConfig() if (n_heads, seed) == (4, 0) else _with_ends(n_heads=n_heads, seed=seed)
    for n_heads in (1, 2, 4, 8)
    for seed in SEEDS
]
"""The chapter's network with one to eight heads, from each seed."""
VARIANTS: dict[str, GrokkingConfig] = {
    "the chapter's": GrokkingConfig(),
    **{f"n_heads = {n_heads}": _with_ends(n_heads=n_heads) for n_heads in (1, 2, 8)},
    "train_fraction = 0.3": _without_spectra(train_fraction=0.3),
    "train_fraction = 0.5": _without_spectra(train_fraction=0.5),
    "weight_decay = 0.3": _without_spectra(weight_decay=0.3),
    "init_scale = √128": _without_spectra(init_scale=sqrt(128)),
}
"""The chapter's network with one setting changed at a time."""


class GrokkingSweep:
    """Learning curves and circuits of all runs of the sweep; read, or computed where missing."""

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

    def network_table(self) -> Markdown:
        """How far each run of each network came."""
        rows = [
            (name, f"{_parameters(found):,}", found.config.seed, *_outcome(found))
            for name, group in self.networks.items()
            for found in group
        ]
        return table(("network", "parameters", "seed", *OUTCOME), rows)

    def variant_table(self) -> Markdown:
        """How far each variant of the chapter's network came."""
        rows = [(name, *_outcome(run(config))) for name, config in VARIANTS.items()]
        return table(("setting", *OUTCOME), rows)

    def leading(self) -> dict[str, tuple[NDArray, NDArray, int, tuple[int, int] | None]]:
        """Steps, leading eigenvalues, number of heads and transition of the same runs."""
        return {
            head_name(found): (
                *leading_eigenvalues(found),
                found.config.n_heads,
                transition(*_accuracy(found)),
            )
            for found in self.heads
        }

    def gap_table(self) -> Markdown:
        """The gap below as many eigenvalues as there are heads, of the same runs.

        By chance: how often that gap is the widest of as many in a featureless spectrum.
        """
        chance = widest_by_chance(LEADING)
        rows = []
        for found in self.heads:
            steps, leading = leading_eigenvalues(found)
            ratios = leading[:, :-1] / leading[:, 1:]
            early = before_half(found, steps)
            h = found.config.n_heads
            below = ratios[early, h - 1]
            widest = int((ratios[early].argmax(1) == h - 1).sum())
            rows.append(
                (
                    _heads(found),
                    found.config.seed,
                    extent(below, ".2f"),
                    f"{widest} of {early.sum()}",
                    extent(chance[:, h - 1], ".0%"),
                    f"{_accuracy(found)[1][-1]:.1%}",
                    f"{ratios[-1, h - 1]:.2f}",
                )
            )
        header = (
            "heads h",
            "seed",
            "λₕ / λₕ₊₁, less than half learnt",
            f"largest of {LEADING} ratios",
            "by chance",
            "test accuracy at the end",
            "λₕ / λₕ₊₁ at the end",
        )
        return table(header, rows)


def leading_eigenvalues(found: Run[GrokkingConfig]) -> tuple[NDArray, NDArray]:
    """Steps of a run's checkpoints with a spectrum, (T,), and (T, LEADING + 1) eigenvalues."""
    steps = found.steps("spectra")
    tops = [found.arrays(spectrum_name(step))["eigenvalues"][::-1] for step in steps]
    return np.array(steps), np.stack([top[: LEADING + 1] for top in tops])


def transition(steps: NDArray, accuracy: NDArray) -> tuple[int, int] | None:
    """Steps where an accuracy first exceeds 5% and where it first exceeds 95%; None if it doesn't.

    The first is a mark on a smooth ramp, not the moment at which something happens.
    """
    left, reached = (np.flatnonzero(accuracy > level) for level in (0.05, 0.95))
    return (int(steps[left[0]]), int(steps[reached[0]])) if len(reached) else None


def before_half(found: Run[GrokkingConfig], steps: NDArray) -> NDArray[np.bool_]:
    """(T,) checkpoints after the first update with a test accuracy below one half."""
    history = found.table(HISTORY)
    return (steps > 0) & (history["test_accuracy"][np.searchsorted(history["step"], steps)] < 0.5)


def _name(found: Run[GrokkingConfig]) -> str:
    return f"{_heads(found)}, seed {found.config.seed}"


def head_name(found: Run[GrokkingConfig]) -> str:
    """A run of the sweep over heads, in words."""
    return f"{_heads(found)}, seed {found.config.seed}"


def _heads(found: Run[GrokkingConfig]) -> str:
    return f"{found.config.n_heads} head{'s' * (found.config.n_heads > 1)}"


def _accuracy(found: Run[GrokkingConfig]) -> tuple[NDArray, NDArray]:
    history = found.table(HISTORY)
    return history["step"], history["test_accuracy"]


def _parameters(found: Run[GrokkingConfig]) -> int:
    return sum(parameter.numel() for parameter in found.config.model().parameters())


def _outcome(found: Run[GrokkingConfig]) -> tuple[str, ...]:
    """Steps, final accuracy, step of generalisation; key frequencies where there is a circuit."""
    steps, accuracy = _accuracy(found)
    above = np.flatnonzero(accuracy >= LEARNT)
    last = stored_checkpoints(found)[-1]
    measured = found.arrays(measures_name(last))
    task = found.config.task
    pairs = pair_accuracies(grid_logits(model_at(found, last), task), task)
    return (
        f"{steps[-1]:,}",
        f"{accuracy[-1]:.1%}",
        f"{pairs[MIRRORED]:.1%} / {pairs[OTHERS]:.1%}",
        f"{steps[above[0]]:,}" if len(above) else "not reached",
        ", ".join(map(str, measured["frequencies"])) if len(above) else "",
        f"{float(measured['explained_variance']):.0%}" if len(above) else "",
    )
