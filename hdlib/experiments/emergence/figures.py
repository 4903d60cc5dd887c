"""The chapter's figures, of its results."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hdlib.experiments.emergence.probing import FITTED, HELD_OUT, RELABELLED, SHUFFLED, TRUE
from hdlib.experiments.emergence.results import CHANCE, EmergenceResults, interval
from hdlib.experiments.emergence.training import READ, FollowedResults
from hdlib.figures import Curve, Panel, curves, heat_map
from hdlib.measures.concepts import CONCEPTS

Array = NDArray[np.float64]

CONTROL = "relabelled residues"
SHUFFLES = "shuffled labels"
BEFORE = "before training"
SHOWN = 12
"""Eigenvectors in the figure of frequencies."""


def sums(results: EmergenceResults) -> list[str]:
    """Concepts of a grid that are about the sum."""
    return [name for name in results.grid.concepts if CONCEPTS[name].subject == "sum"]


def scores_by_layer(results: EmergenceResults) -> Figure:
    """Scores of the concepts of the sum on each layer, a panel for each width."""
    layers = np.arange(len(results.layers))
    names = sums(results)
    panels = {}
    for w, width in enumerate(results.widths.tolist()):
        lines = {name: results.scores(name)[w].T for name in names}
        control = np.concatenate([results.scores(name, RELABELLED)[w] for name in names])
        shuffled = np.concatenate([results.scores(name, SHUFFLED)[w] for name in names])
        panels[f"width {width}"] = Panel(
            lines | {CONTROL: control.T},
            x=layers,
            nulls={SHUFFLES: shuffled.T},
            ylabel="balanced accuracy",
            covers=(0.45, 0.8),
        )
    return curves(panels, columns=3, xlabel="layer", xscale="linear", sharey=True)


def scores_by_width(results: EmergenceResults, layer: str) -> Figure:
    """Scores of each concept and its controls on a layer against width; a line for each seed."""
    at, panels = results.layers.index(layer), {}
    for name in results.grid.concepts:
        kinds = {
            "the concept": results.scores(name),
            CONTROL: results.scores(name, RELABELLED),
            BEFORE: results.scores(name, trained=False),
        }
        shuffled = results.scores(name, SHUFFLED)[..., at]
        panels[name] = Panel(
            {kind: values[..., at] for kind, values in kinds.items()},
            x=results.widths,
            nulls={SHUFFLES: shuffled},
            limits={"raw inputs": float(results.scores(name)[..., 0].mean())},
            ylabel="area under the ROC curve" if CONCEPTS[name].rare else "balanced accuracy",
            covers=(0.45, 0.8),
        )
    return curves(panels, columns=2, xlabel="width", xscale="log")


def scores_by_wave(results: EmergenceResults, layer: str) -> Figure:
    """Scores of the concepts of the sum against R² of the highest sine, a point for a network."""
    at = results.layers.index(layer)
    highest = results.waves()[..., at, -1, 1].ravel()
    order = np.argsort(highest)
    names = sums(results)
    scores = {name: results.scores(name) for name in names}
    scores |= {f"{names[0]}, {CONTROL}": results.scores(names[0], RELABELLED)}
    points = {
        label: Curve(highest[order], values[..., at].ravel()[order])
        for label, values in scores.items()
    }
    panel = Panel({}, points=points, nulls={"chance": CHANCE}, ylabel="balanced accuracy")
    return curves(
        panel, xlabel=f"R² of the sine of frequency {results.grid.p // 2}", xscale="linear"
    )


def same_rows(results: EmergenceResults) -> Figure:
    """The probe of the original work, scored on the rows it was fitted on and on others.

    On the layer before the logits, 95% intervals over seeds, moved apart sideways.
    """
    name, panels = results.grid.concepts[0], {}
    for title, rows in {"rows it was fitted on": FITTED, "other rows": HELD_OUT}.items():
        kinds = {name: TRUE, SHUFFLES: SHUFFLED}
        panels[title] = Panel(
            {
                label: _with_interval(
                    results.widths * 1.04**side, results.scores(name, kind, rows=rows)[..., -2]
                )
                for side, (label, kind) in zip((-1, 1), kinds.items(), strict=True)
            },
            nulls={"chance": CHANCE},
            ylabel="balanced accuracy",
        )
    return curves(panels, columns=2, xlabel="width", xscale="log", sharey=True)


def scores_through_training(found: FollowedResults) -> Figure:
    """Test accuracy, and scores of the concepts of the sum on each layer; a line for each seed."""
    names, panels = sums(found.results), {}
    for at, layer in enumerate(found.layers):
        control = np.concatenate([found.scores(name, RELABELLED)[..., at] for name in names])
        lines = {name: found.scores(name)[..., at].T for name in names}
        panels[layer] = Panel(
            lines | {CONTROL: control.T},
            x=found.steps,
            nulls={"chance of a probe": CHANCE},
            ylabel="balanced accuracy",
            covers=(0.45, 0.75),
        )
    # Last, so that concepts and controls have the colours that they have by layer.
    accuracy = {"test accuracy": found.accuracy.T}
    panels["test pairs"] = Panel(accuracy, x=found.steps, ylabel="accuracy")
    return curves(panels, columns=2, xscale="linear")


def waves_through_training(found: FollowedResults) -> Figure:
    """R² of each wave of the sum on the last hidden layer, a panel for each seed."""
    panels = {}
    for seed, waves, read, accuracy in zip(
        found.results.grid.seeds, found.waves[:, :, -2], found.read, found.accuracy, strict=True
    ):
        values, shown = np.clip(waves, 0, 1), f"frequencies that end above {READ:g}"
        coloured = {shown: values[:, read]} if read.any() else {}
        panels[f"seed {seed}"] = Panel(
            coloured | {"test accuracy": accuracy},
            x=found.steps,
            background={} if read.all() else {"the others": values[:, ~read]},
            ylabel="R²",
            covers=(0, 1),
        )
    return curves(panels, xscale="linear")


def leading_eigenvalues(found: FollowedResults) -> Figure:
    """Leading eigenvalues over the largest, a panel for each seed, with the test accuracy."""
    panels = {}
    for seed, values, accuracy in zip(
        found.results.grid.seeds, found.eigenvalues, found.accuracy, strict=True
    ):
        panels[f"seed {seed}"] = Panel(
            {
                "eigenvalue over the largest": values / values[:, :1],
                "test accuracy": Curve(found.steps, accuracy),
            },
            x=found.spectrum_steps,
            ylabel="λ / λmax",
            covers=(0, 1),
        )
    return curves(panels, xscale="linear")


def leading_frequencies(found: FollowedResults, seed: int) -> Figure:
    """The strongest frequency of what each leading eigenvector does, a column a checkpoint.

    A cell names the frequency with the largest share of the energy of J v; one in brackets cannot
    be read off the last hidden layer at the end of training.
    """
    at = found.results.grid.seeds.index(seed)
    moved, read = found.moved[at, :, :SHOWN].transpose(1, 0, 2), found.read[at]
    strongest, largest = moved.argmax(2), moved.max(2)
    cells = [[f"{k + 1}" if read[k] else f"({k + 1})" for k in row] for row in strongest.tolist()]
    return heat_map(
        largest,
        [str(rank + 1) for rank in range(len(largest))],
        [f"{step:,}" for step in found.spectrum_steps],
        label="share of the strongest frequency",
        norm=Normalize(0, 1),
        cmap="Blues",
        cells=cells,
        row_label="rank of the eigenvalue",
        column_label="step",
    )


def _with_interval(widths: Array, values: Array) -> Curve:
    """Mean and interval over seeds of (W, S) values."""
    mean, half = interval(values)
    return Curve(widths, mean, half)
