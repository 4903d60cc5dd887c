"""The grokking experiment with other seeds and other networks: does it hold, and when?"""

from __future__ import annotations

from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.grokking import (
    GrokkingConfig,
    coarse_to_fine,
    measures_name,
    recorded_steps,
    run,
    spectrum_name,
)
from hdlib.runs import Run
from hdlib.training import HISTORY, stored_checkpoints

SEEDS = (0, 1, 2)
SPECTRA = 9
"""Checkpoints with a spectrum, of the other seeds of the chapter's network."""
GAPS = 4
"""Leading gaps that are compared."""
LEARNT = 0.95
"""Test accuracy from which a network counts as having generalised."""


CHAPTER = "ReLU after attention, 40% of pairs"
NETWORKS: dict[str, list[GrokkingConfig]] = {
    CHAPTER: [
        GrokkingConfig(),
        *(
            GrokkingConfig(
                seed=seed, spectra=SPECTRA, eigenpairs=30, max_products=400, stored_weights=1
            )
            for seed in SEEDS[1:]
        ),
    ],
    "MLP of 512 neurons, 30%": [
        GrokkingConfig(
            spectra=0,
            stored_weights=1,
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
        GrokkingConfig(
            spectra=0,
            stored_weights=1,
            activation="none",
            train_fraction=0.3,
            n_steps=150_000,
            init_scale=sqrt(128),
        )
    ],
}
"""The networks of the chapter and of the literature."""


class GrokkingSweep:
    """Learning curves and circuits of all runs of the sweep; read, or computed where missing."""

    @cached_property
    def networks(self) -> dict[str, list[Run[GrokkingConfig]]]:
        """Runs of each network, one for each seed."""
        return {name: [run(config) for config in group] for name, group in NETWORKS.items()}

    def accuracies(self) -> dict[str, list[tuple[NDArray, NDArray]]]:
        """(steps, test accuracy) of each run of each network."""
        return {
            name: [_accuracy(found) for found in group] for name, group in self.networks.items()
        }

    def gap_table(self) -> Markdown:
        """Ratios of the leading eigenvalues of the chapter's network, for each seed."""
        rows = []
        for found in self.networks[CHAPTER]:
            history = found.table(HISTORY)
            for step in sorted(coarse_to_fine(recorded_steps(found, "measures"))[:SPECTRA]):
                top = found.arrays(spectrum_name(step))["eigenvalues"][::-1]
                ratios = top[:GAPS] / top[1 : GAPS + 1]
                accuracy = history["test_accuracy"][np.searchsorted(history["step"], step)]
                rows.append(
                    (
                        found.config.seed,
                        f"{step:,}",
                        f"{accuracy:.0%}",
                        *(f"{ratio:.2f}" for ratio in ratios),
                    )
                )
        names = [f"λ{k} / λ{k + 1}" for k in range(1, GAPS + 1)]
        return table(("seed", "step", "test accuracy", *names), rows)

    def network_table(self) -> Markdown:
        """How far each run came, when it generalised, and with which frequencies."""
        header = (
            "network",
            "parameters",
            "seed",
            "steps",
            "test accuracy at the end",
            f"{LEARNT:.0%} at step",
            "key frequencies",
            "variance explained",
        )
        rows = [
            (name, f"{_parameters(found):,}", found.config.seed, *_outcome(found))
            for name, group in self.networks.items()
            for found in group
        ]
        return table(header, rows)


def _accuracy(found: Run[GrokkingConfig]) -> tuple[NDArray, NDArray]:
    history = found.table(HISTORY)
    return history["step"], history["test_accuracy"]


def _parameters(found: Run[GrokkingConfig]) -> int:
    return sum(parameter.numel() for parameter in found.config.model().parameters())


def _outcome(found: Run[GrokkingConfig]) -> tuple[str, ...]:
    """Steps, final accuracy, step of generalisation; key frequencies where there is a circuit."""
    steps, accuracy = _accuracy(found)
    above = np.flatnonzero(accuracy >= LEARNT)
    measured = found.arrays(measures_name(stored_checkpoints(found)[-1]))
    return (
        f"{steps[-1]:,}",
        f"{accuracy[-1]:.1%}",
        f"{steps[above[0]]:,}" if len(above) else "not reached",
        ", ".join(map(str, measured["frequencies"])) if len(above) else "",
        f"{float(measured['explained_variance']):.0%}" if len(above) else "",
    )
