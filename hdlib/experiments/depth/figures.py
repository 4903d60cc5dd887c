"""The depth chapter's figures: many networks in one, depth as colour, seeds as lines or points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hdlib import figures
from hdlib.clustering import Dendrogram
from hdlib.curvature import Density
from hdlib.experiments.depth.results import DepthResults, Network, by_depth
from hdlib.figures import Curve, Panel
from hdlib.models import Encoding
from hdlib.training import MIRRORED, OTHERS

LOSSES, ACCURACIES = "training loss", "accuracy on test pairs"
SHARPNESS, GRADIENT = "largest eigenvalue", "norm of the gradient"
ENCODINGS: Mapping[Encoding, str] = {
    "raw": "raw integers",
    "standardised": "standardised integers",
    "one_hot": "one-hot pairs",
    "embedding": "learned embeddings",
}
MOMENTS = "before training", "largest of all", "at the end"


def training(networks: Sequence[Network]) -> Figure:
    """Loss, accuracy, largest eigenvalue and gradient norm against the step; depth as colour."""
    columns = {
        LOSSES: ("train_loss", "log"),
        ACCURACIES: ("test_accuracy", "linear"),
        SHARPNESS: ("largest_eigenvalue", "log"),
        GRADIENT: ("gradient_norm", "log"),
    }
    shaded = {
        f"depth {n.config.depth}: 90% to 95% of the test pairs": (n.steps_to(0.9), n.steps_to(0.95))
        for n in networks
        if n.config.seed == networks[0].config.seed and n.steps_to(0.95)
    }
    panels = {
        title: Panel(_curves(networks, column), ylabel=title, yscale=scale, shaded=shaded)  # pyright: ignore
        for title, (column, scale) in columns.items()
    }
    return figures.curves(panels, columns=2, stages=True)


def accuracies(results: DepthResults) -> Figure:
    """Accuracy at the end against depth, on training, mirrored and other test pairs."""
    parts = {
        "training pairs": "train_accuracy",
        "mirrored test pairs": MIRRORED,
        "other test pairs": OTHERS,
    }
    panels = {}
    for encoding in results.grid.encodings:
        networks = results.original(encoding)
        panels[ENCODINGS[encoding]] = Panel(
            {
                label: _against_depth(networks, lambda n, c=column: n.history[c][-1])
                for label, column in parts.items()
            },
            nulls={"chance": 1 / results.grid.p},
            ylabel="accuracy at the end",
            covers=(0, 1),
        )
    return figures.curves(panels, columns=2, xlabel="depth", xscale="linear", sharey=True)


def sharpness_by_depth(results: DepthResults) -> Figure:
    """Largest eigenvalue against depth: before training, largest of all, at the end; both kinds."""
    panels = {}
    for encoding in results.grid.encodings:
        networks = results.original(encoding)
        plain: list[Callable[[Network], float]] = [
            lambda n: n.measured("largest_eigenvalue")[1][0],
            lambda n: n.measured("largest_eigenvalue")[1].max(),
            lambda n: n.measured("largest_eigenvalue")[1][-1],
        ]
        panels[ENCODINGS[encoding]] = Panel(
            {
                label: _against_depth(networks, value)
                for label, value in zip(MOMENTS, plain, strict=True)
            },
            ylabel="largest eigenvalue",
            yscale="log",
        )
    return figures.curves(panels, columns=2, xlabel="depth", xscale="linear", sharey=True)


def adaptive_by_depth(results: DepthResults) -> Figure:
    """Scale-free sharpness against depth, before training and at the end; encoding as colour."""
    panels = {}
    for label, position in (("before training", 0), ("at the end", -1)):
        panels[label] = Panel(
            {
                ENCODINGS[encoding]: _against_depth(
                    results.original(encoding), lambda n, i=position: n.adaptive[i]
                )
                for encoding in results.grid.encodings
            },
            ylabel="largest eigenvalue of |θ|H|θ|",
            yscale="log",
        )
    return figures.curves(panels, columns=2, xlabel="depth", xscale="linear", sharey=True)


def spectra(networks: Sequence[Network]) -> Figure:
    """The known eigenvalues at both ends against the step, a panel a depth."""
    panels = {}
    for network in _ascending(networks):
        trajectory = network.trajectory
        values, lowest = trajectory.eigenvalues, trajectory.spectra[0].lowest
        ends = {"largest": values[:, lowest:]} | (
            {"smallest": values[:, :lowest]} if lowest else {}
        )
        panels[f"depth {network.config.depth}"] = Panel(
            ends, x=trajectory.steps, ylabel="eigenvalue", yscale="symlog"
        )
    return figures.curves(panels, columns=2)


def dendrograms(networks: Sequence[Network]) -> Figure:
    """Dendrograms at the end, a row a depth."""
    trees: dict[str, Dendrogram] = {
        f"depth {n.config.depth}": n.dendrogram for n in _ascending(networks)
    }
    return figures.dendrogram(trees, merges=12)


def densities(networks: Sequence[Network]) -> Figure:
    """The density of the whole spectrum at the end, a row a depth."""
    return figures.density({f"depth {n.config.depth}": n.density(-1) for n in _ascending(networks)})


def compared(network: Network) -> Figure:
    """All eigenvalues of the exact Hessian, and the density without it, at the last checkpoint."""
    step, eigenvalues, _ = list(network.exact)[-1]
    position = network.spectrum_steps.tolist().index(step)
    rows: dict[str, NDArray | Density] = {
        f"step {step:,}: all eigenvalues of the matrix": eigenvalues,
        f"step {step:,}: from products": network.density(position),
    }
    return figures.density(rows)


def adam(results: DepthResults) -> Figure:
    """Largest eigenvalue of the Hessian as Adam sees it against the step, beside its ceiling."""
    encoding = results.grid.encodings[0]
    panel = Panel(
        _curves(results.original(encoding), "adam_eigenvalue"),
        limits={f"(2 + 2β₁)/((1 − β₁)η) = {results.ceiling:,.0f}": results.ceiling},
        ylabel="largest eigenvalue, preconditioned",
        yscale="log",
    )
    return figures.curves(panel, stages=True, xscale="linear")


def gradient_shares(networks: Sequence[Network]) -> Figure:
    """Share of the squared gradient in the top eigenspace against the step; depth as colour."""
    curves = {
        f"depth {n.config.depth}": Curve(n.spectrum_steps, n.gradient_share)
        for n in _ascending(networks)
    }
    return figures.curves(
        Panel(curves, ylabel="share of the squared gradient", covers=(0, 1)), stages=True
    )


def descent(results: DepthResults) -> Figure:
    """Sharpness over 2/η against the step, a panel a depth, learning rate as colour."""
    panels = {}
    for depth in sorted(results.grid.descent_depths):
        curves: dict[str, list[Curve]] = {}
        for network in results.descent:
            if network.config.depth == depth:
                steps, values = network.measured("largest_eigenvalue")
                lr = network.config.lr
                curves.setdefault(f"η = {lr:g}", []).append(Curve(steps, values * lr / 2))
        panels[f"depth {depth}"] = Panel(
            curves, limits={"2/η": 1.0}, ylabel="largest eigenvalue over 2/η", yscale="log"
        )
    return figures.curves(panels, columns=2, xscale="linear", sharey=True)


def _ascending(networks: Sequence[Network]) -> list[Network]:
    """One network of each depth: those of the first seed."""
    first = [n for n in networks if n.config.seed == networks[0].config.seed]
    return sorted(first, key=lambda network: network.config.depth)


def _curves(networks: Sequence[Network], column: str) -> dict[str, list[Curve]]:
    """Columns of the history by depth, a curve a seed."""
    found: dict[str, list[Curve]] = {}
    for network in sorted(networks, key=lambda network: network.config.depth):
        steps, values = network.measured(column)
        found.setdefault(f"depth {network.config.depth}", []).append(Curve(steps, values))
    return found


def _against_depth(networks: Sequence[Network], value: Callable[[Network], float]) -> list[Curve]:
    """A number against depth, a curve a seed."""
    depths, values = by_depth(networks, value)
    return [Curve(depths.astype(np.float64), column) for column in values.T]
