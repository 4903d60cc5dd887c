"""Norms of weights and representations through training."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.figure import Figure

from hdlib.experiments.least_action.figures.drawn import Networks, histories, line, with_curves
from hdlib.experiments.least_action.results import GENERALISED, MEMORISED, Array, TrainedNetwork
from hdlib.figures import Curve, Panel, curves
from hdlib.figures.axes import Scale

PARTS = {
    "token embeddings": r"tokens|embedding",
    "position embeddings": r"positions",
    "queries and keys": r".*attention\.(query|key)",
    "values and outputs": r".*attention\.(value|output)",
    "feed-forward": r".*feed_forward.*|heads.*|\d+",
    "gates": r".*gates?\..*",
    "state": r"state\..*",
    "layer norms": r".*norms?(\.\d+)?|.*attention_norm",
    "output layer": r"read_out",
}
"""Part of a network → the modules (regular expression) that are it."""
OUTSIDE = "outside of layers"
WHEN = f"{GENERALISED:.0%} of the other test pairs"
BETWEEN = f"from {MEMORISED:.0%} of the training pairs to {WHEN}"


def norms(network: TrainedNetwork, *, xscale: Scale = "linear") -> Figure:
    """Weight norms through training, a panel a part of the network, colour the layer.

    Shaded from the step at which the training pairs are known to that at which the other test pairs
    are; nothing is where one of the two never comes.
    """
    panels = {}
    first, last = network.memorised, network.generalised
    shaded = {}
    if first is not None and last is not None and first <= last:
        shaded[BETWEEN] = first, last
    for part, found in norms_by_part(network).items():
        panels[part] = Panel(
            {label: line(network, values) for label, values in found.items()},
            shaded=shaded,
            ylabel="norm",
            covers=(0,),
        )
    return curves(panels, columns=min(3, len(panels)), xscale=xscale)


def norms_by_part(network: TrainedNetwork) -> dict[str, dict[str, Array]]:
    """Euclidean norm of the weights of each part that the network has, by layer, (T,) each."""
    squares: dict[str, dict[str, Array]] = {}
    modules = [name.removeprefix("norm/") for name in network.history if name.startswith("norm/")]
    for module in modules:
        part = next((p for p, pattern in PARTS.items() if re.fullmatch(pattern, module)), None)
        if part is None:
            continue
        layers, label = squares.setdefault(part, {}), _layer(module)
        layers[label] = layers.get(label, 0.0) + network.column(f"norm/{module}") ** 2
    return {
        part: {label: np.sqrt(squares[part][label]) for label in sorted(squares[part])}
        for part in PARTS
        if part in squares
    }


def total_norms(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Norms of all weights, of those that decay, and of the representation before the output.

    Colour is the arm, a line a seed; the point on it is the step at which the other test pairs are
    known.
    """
    columns = {
        "all weights": "norm/total",
        "weights that decay": "decayed_weight_norm",
        "representation, mean of test pairs": "representation_norm",
    }
    panels = {}
    for title, column in columns.items():
        marked = []
        for network in (n for members in networks.values() for n in members):
            steps = network.history["step"]
            there = steps == network.generalised
            if there.any():
                marked.append(Curve(steps[there], network.column(column)[there]))
        panels[title] = Panel(
            histories(networks, column),
            points={WHEN: marked} if marked else {},
            ylabel="norm",
            covers=(0,),
        )
    return curves(with_curves(panels), xscale=xscale)


def _layer(module: str) -> str:
    """The layer that a module is in, counted from 1: the first number in its path."""
    number = re.search(r"\d+", module)
    if number is None:
        return OUTSIDE
    # An MLP's linear layers stand at every second place.
    return f"layer {int(number[0]) // (2 if module.isdigit() else 1) + 1}"
