"""The chapter's tables, of its results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import SUBSCRIPTS, Markdown, extent, table
from hdlib.experiments.emergence.probing import (
    RELABELLED,
    SHUFFLED,
    TRAINED,
    TRUE,
    UNTRAINED,
)
from hdlib.experiments.emergence.results import EmergenceResults
from hdlib.experiments.emergence.training import SINGLE, FollowedResults

LEVELS = (0.9, 0.95)
"""Test accuracies of which the first step is told."""


def network_table(results: EmergenceResults) -> Markdown:
    """How far each network came: over the seeds of a width."""
    train, test = results.logged("train_accuracy"), results.logged("test_accuracy")
    reached = [results.steps_to(level) for level in LEVELS]
    seeds = results.grid.seeds
    rows = [
        (
            width,
            f"{results.runs[width, seeds[0]].config.n_parameters:,}",
            extent(train[w], ".1%", "–"),
            extent(test[w], ".1%", "–"),
            *(_steps(steps[w]) for steps in reached),
        )
        for w, width in enumerate(results.widths.tolist())
    ]
    levels = (f"{level:.0%} at step" for level in LEVELS)
    return table(("width", "parameters", "train accuracy", "test accuracy", *levels), rows)


def score_table(results: EmergenceResults, layer: str) -> Markdown:
    """Scores on a layer: mean over seeds, and the least and the greatest."""
    at = results.layers.index(layer)
    rows = []
    for name in results.grid.concepts:
        kinds = {
            name: results.scores(name)[..., at],
            "— relabelled residues": results.scores(name, RELABELLED)[..., at],
            "— shuffled labels": results.scores(name, SHUFFLED)[..., at],
            "— before training": results.scores(name, trained=False)[..., at],
            "— raw inputs": results.scores(name)[..., 0],
        }
        rows += [(label, *_spread(values)) for label, values in kinds.items()]
    return table(("width", *map(str, results.widths)), rows)


def pair_table(results: EmergenceResults, layer: str) -> Markdown:
    """The same scores on held-out pairs that the network was trained on, and on others."""
    at = results.layers.index(layer)
    rows = []
    for name in results.grid.concepts:
        for words, part in {"training pairs": TRAINED, "test pairs": UNTRAINED}.items():
            values = results.scores(name, rows=part)[..., at]
            rows.append((f"{name}, {words}", *_spread(values)))
    return table(("width", *map(str, results.widths)), rows)


def lag_table(found: FollowedResults) -> Markdown:
    """Half-way step of each score less that of the test accuracy, each seed by itself."""
    rows = []
    for name in found.results.grid.concepts:
        for kind, words in {TRUE: "", RELABELLED: ", relabelled residues"}.items():
            lags = found.lags(found.scores(name, kind))
            rows.append((f"{name}{words}", *(_lags(lag) for lag in lags.T)))
    waves = found.lags(found.mean_read)
    rows.append(("R² of the waves that are read at the end", *(_lags(lag) for lag in waves.T)))
    return table(("lag in steps, by seed", *found.layers), rows)


def spectrum_table(found: FollowedResults) -> Markdown:
    """The top of the spectrum at each checkpoint, over the seeds."""
    steps = found.spectrum_steps
    accuracy = found.logged("test_accuracy", steps)
    values, k = found.eigenvalues, found.eigenvalues.shape[2]
    single, by_chance = (
        (each.max(3) > SINGLE).sum(2) for each in (found.moved, found.moved_at_random)
    )
    ours, random = (found.at_read(each) for each in (found.moved, found.moved_at_random))
    rows = [
        (
            f"{step:,}",
            extent(accuracy[:, u], ".0%", "–"),
            extent(values[:, u, 0], ".2g", "–"),
            extent(values[:, u, -1] / values[:, u, 0], ".2f", "–"),
            ", ".join(map(str, found.outliers[:, u])),
            f"{extent(single[:, u], to='–')} ({extent(by_chance[:, u], to='–')})",
            extent(100 * ours[:, u].mean(1), ".0f", "–"),
            extent(100 * random[:, u].mean(1), ".0f", "–"),
        )
        for u, step in enumerate(steps.tolist())
    ]
    header = (
        "step",
        "test accuracy",
        "λ₁",
        f"λ{str(k).translate(SUBSCRIPTS)} / λ₁",
        "outliers",
        f"single, of {k}",
        "energy, %",
        "random, %",
    )
    return table(header, rows)


def cost_table(results: EmergenceResults) -> Markdown:
    """What was computed, and its wall time."""
    grid = results.grid
    spectra = sum(len(run.config.spectrum_steps) for run in results.runs.values())
    seconds: dict[str, float] = {}
    folders = set()
    for run in results.runs.values():
        for stage in run.stages:
            stored = run.stored(stage)
            if stored.home not in folders:
                folders.add(stored.home)
                seconds[stage.name] = seconds.get(stage.name, 0) + stored.seconds
    counts = {
        "emergence/training": f"{len(results.runs)} networks of {grid.n_steps:,} steps",
        "emergence/inputs": f"{len(grid.seeds)} splits",
        "emergence/probes": f"{results.probes:,} probes, {results.fits:,} fits",
        "emergence/spectra": f"{spectra} spectra of {grid.eigenpairs} pairs",
        "emergence/directions": f"{spectra * grid.eigenpairs:,} random directions",
    }
    rows = [(words, f"{seconds.get(name, 0) / 60:.0f} min") for name, words in counts.items()]
    return table(("computed", "wall time"), rows)


def _spread(values: NDArray[np.float64]) -> list[str]:
    """Mean and range of (W, S) values, a cell a width; one number where all round to it."""
    cells = []
    for row in values:
        mean, low, high = (f"{v:.2f}".lstrip("0") for v in (row.mean(), row.min(), row.max()))
        cells.append(mean if low == high else f"{mean} ({low}–{high})")
    return cells


def _steps(steps: NDArray[np.float64]) -> str:
    """A step for each seed, a dash where there is none."""
    return ", ".join("–" if np.isnan(step) else f"{step:,.0f}" for step in steps)


def _lags(lags: NDArray[np.float64]) -> str:
    return ", ".join("none" if np.isnan(lag) else f"{lag:+.0f}" for lag in lags)
