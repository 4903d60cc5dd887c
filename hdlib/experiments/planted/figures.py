"""The chapter's figures, of its results."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hdlib.experiments.planted.predictions import predicted
from hdlib.experiments.planted.results import PlantedResults, When
from hdlib.experiments.planted.statistics import CUTS, RHO_WORDS, RHOS
from hdlib.figures import Curve, Panel, curves
from hdlib.figures.style import CATEGORIES, MUTED, WIDTH, style

Array = NDArray[np.float64]

ENDS: dict[When, str] = {"untrained": "before training", "end": "at the end"}
CHECKPOINTS: dict[When, str] = {
    "untrained": "before training",
    "memorised": "memorised",
    "end": "at the end",
}
FOLLOWED: dict[str, Callable[[PlantedResults, When], Array]] = {
    "purity of units": lambda found, step: found.unit_purity(1.0, step),
    "outputs that eigenvectors move": lambda found, step: found.outputs(1.0, step),
    "modules of Gauss–Newton": lambda found, step: found.modules("gauss_newton", 1.0, step),
    "eigenvalues, best cut": lambda found, step: found.statistic("best", 1.0, step)[:, 0],
    "accuracy, training pairs": lambda found, step: found.logged("train", 1.0, step),
    "accuracy, new company": lambda found, step: found.logged("company", 1.0, step),
}
DECILES = np.arange(1.0, 11.0)
SHOWN = 60
"""Eigenvalues in the figure of sorted ones."""


@style()
def rugs(results: PlantedResults, seed: int, *, when: When = "end") -> Figure:
    """Positive eigenvalues of uncoupled circuits, a row each, the first one's loss times ρ."""
    spectra = [values[values > 0] for values in results.own_spectra(0.0, seed, when)[:-1]]
    rows = len(RHOS)
    fig, axes = plt.subplots(rows, 1, figsize=(WIDTH, 0.62 * rows + 0.9), sharex=True)
    for ax, rho, words in zip(axes, RHOS, RHO_WORDS, strict=True):
        for circuit, values in enumerate(spectra):
            scaled = values * (rho if circuit == 0 else 1)
            ax.vlines(scaled, circuit, circuit + 0.9, color=CATEGORIES[circuit], lw=0.35)
        ax.set(xscale="log", yticks=[], ylim=(0, len(spectra)))
        ax.set_title(f"ρ = {words}", fontsize=9)
        ax.spines["left"].set_visible(False)
    axes[-1].set_xlabel("eigenvalue λ")
    lines = [
        Line2D([], [], color=CATEGORIES[c], label=_task(results, c)) for c in range(len(spectra))
    ]
    fig.legend(handles=lines, loc="outside upper left", ncols=len(lines))
    return fig


def agreement_of_cuts(results: PlantedResults) -> Figure:
    """Adjusted Rand index of every cut of the eigenvalues, and of what vectors say, uncoupled."""
    panels = {}
    for when, words in ENDS.items():
        vectors = {"Fiedler modules of Gauss–Newton": results.modules("gauss_newton", 0.0, when)}
        if when == "end":
            vectors["outputs that eigenvectors move"] = results.outputs(0.0, when)
        level = {label: np.tile(values, (len(CUTS), 1)) for label, values in vectors.items()}
        panels[words] = Panel(
            {"clusters of eigenvalues": results.statistic("curve", 0.0, when).T} | level,
            x=CUTS,
            nulls={
                "best cut of permuted labels, 95%": float(
                    results.statistic("null", 0.0, when)[:, 0].max()
                )
            },
            ylabel="adjusted Rand index",
            covers=(-0.05, 1.05),
        )
    return curves(panels, columns=2, xlabel="number of clusters", xscale="log", sharey=True)


def strangers(results: PlantedResults) -> Figure:
    """P(neighbours belong to different circuits) by tenths of their spacing, uncoupled."""
    panels = {}
    for when, words in CHECKPOINTS.items():
        sizes = results.statistic("sizes", 0.0, when)[0].tolist()
        panels[words] = Panel(
            {
                "networks": results.statistic("deciles", 0.0, when).T,
                "random matrices, GOE": predicted(tuple(sizes), None).by_decile,
                "Wishart": predicted(tuple(sizes), 2.0).by_decile,
            },
            x=DECILES,
            nulls={"all spacings": float(results.statistic("neighbours", 0.0, when)[:, 1].mean())},
            ylabel="P(different circuits)",
            covers=(0.0, 1.0),
        )
    return curves(
        panels,
        columns=3,
        xlabel="tenth of the spacings, tightest first",
        xscale="linear",
        sharey=True,
    )


def through_training(results: PlantedResults, shuffled: PlantedResults) -> Figure:
    """One shared trunk: what sees its circuits form, by checkpoint; dashed, shuffled labels."""
    steps, others = results.followed_steps(1.0), shuffled.followed_steps(1.0)
    panels = {}
    for title, of in FOLLOWED.items():
        null = np.array([of(shuffled, step) for step in others])
        panels[title] = Panel(
            {"true labels": np.array([of(results, step) for step in steps])},
            x=steps,
            nulls={"shuffled labels": [Curve(others, column) for column in null.T]},
            covers=(0.0, 1.0),
        )
    return curves(panels, columns=3)


@style()
def sorted_eigenvalues(results: PlantedResults, alpha: float, seed: int) -> Figure:
    """The leading eigenvalues, all together and sorted by the circuit whose outputs they move."""
    *own, together = results.own_spectra(alpha, seed, "end")
    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6), sharey=True)
    top = np.sort(together)[::-1][:SHOWN]
    axes[0].plot(np.arange(1, len(top) + 1), top, ".", color=MUTED, ms=5)
    axes[0].set_title("all")
    least = top[-1]
    for circuit, values in enumerate(own):
        kept = np.sort(values)[::-1]
        kept = kept[kept >= least]
        axes[1].plot(
            np.arange(1, len(kept) + 1), kept, ".",
            color=CATEGORIES[circuit], ms=5, label=_task(results, circuit),
        )  # fmt: skip
    axes[1].set_title("sorted by the outputs that they move")
    for ax in axes:
        ax.set(yscale="log", xlabel="rank")
        ax.grid(axis="both")
    axes[0].set_ylabel("eigenvalue λ")
    fig.legend(*axes[1].get_legend_handles_labels(), loc="outside upper left", ncols=len(own))
    return fig


def ratios(results: PlantedResults) -> Figure:
    """Mean spacing ratio against α, before training and at the end; uncoupled at the left."""
    alphas = results.alphas
    lines = {
        words: np.array([results.statistic("neighbours", alpha, when)[:, 0] for alpha in alphas])
        for when, words in ENDS.items()
    }
    sizes = tuple(results.statistic("sizes", alphas[0], "end")[0].tolist())
    panel = Panel(
        lines,
        x=np.arange(len(alphas), dtype=float),
        nulls={"one random matrix for each circuit": predicted(sizes, None).ratio},
        limits={"one random matrix": predicted((sum(sizes),), None).ratio},
        ylabel="spacing ratio r",
    )
    fig = curves(panel, xlabel="factor α on the weights between circuits", xscale="linear")
    fig.axes[0].set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    return fig


def _task(results: PlantedResults, circuit: int) -> str:
    first, second = "abcdefghijkl"[2 * circuit : 2 * circuit + 2]
    return f"{first} + {second} mod {results.grid.moduli[circuit]}"
