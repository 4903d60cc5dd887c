"""Which paths routed networks choose."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hdlib.experiments.least_action.figures.drawn import Networks, histories, line, with_curves
from hdlib.experiments.least_action.results import TrainedNetwork
from hdlib.figures import Panel, curves, pair_maps
from hdlib.figures.axes import Scale


def heads_of(network: TrainedNetwork) -> list[list[str]]:
    """Columns of the history with the mean weight of each head, by layer."""
    found: dict[int, list[str]] = {}
    for name in network.history:
        if name.startswith("head_use_"):
            found.setdefault(int(name.split("_")[2]), []).append(name)
    return [found[layer] for layer in sorted(found)]


def routing(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Entropy of the paths through training: of each pair's, and of the mean over all pairs.

    Left, 0 where each pair has one head; right, 0 where all pairs have the same one (collapse) and
    1 where heads are used alike. Over ln of their number; a row a layer, colour the arm.
    """
    layers = max(len(heads_of(n)) for members in networks.values() for n in members)
    panels = {}
    for layer in range(layers):
        for what, column in (("of a pair", "routing"), ("of the mean", "marginal")):
            title = f"layer {layer + 1}: entropy {what}"
            panels[title] = Panel(
                histories(
                    networks, lambda n, c=f"{column}_entropy_{layer}", i=layer: _shared(n, c, i)
                ),
                ylabel="entropy / ln(heads)",
                covers=(0, 1),
            )
    return curves(with_curves(panels), columns=2, xscale=xscale, sharey=True)


def use_of_heads(network: TrainedNetwork, *, xscale: Scale = "linear") -> Figure:
    """Mean weight of each head over all pairs through training, a panel a layer."""
    panels = {}
    for layer, names in enumerate(heads_of(network)):
        panels[f"layer {layer + 1}"] = Panel(
            {f"head {i + 1}": line(network, network.column(c)) for i, c in enumerate(names)},
            nulls={"alike": 1 / len(names)},
            ylabel="mean weight",
            covers=(0, 1),
        )
    return curves(panels, columns=min(len(panels), 2), xscale=xscale, sharey=True)


def routing_map(network: TrainedNetwork) -> Figure:
    """Weight of each head over all p² pairs at the last checkpoint, a row a layer.

    Of additions, where the network knows two operations.
    """
    p = network.config.p
    step, found = list(network.maps.items())[-1]
    layers = found["routing"][:, : p * p]
    panels = {
        f"layer {layer + 1}, head {head + 1}": weights[:, head].reshape(p, p)
        for layer, weights in enumerate(layers)
        for head in range(weights.shape[1])
    }
    return pair_maps(
        panels,
        np.arange(p),
        label=f"weight at step {step:,}",
        names=("a", "b"),
        norm=Normalize(0, 1),
        columns=layers.shape[2],
    )


def _shared(network: TrainedNetwork, column: str, layer: int) -> np.ndarray:
    """A column with an entropy of a layer over the largest that it can be, ln of its heads."""
    heads = heads_of(network)
    count = len(heads[layer]) if layer < len(heads) else 1
    values = network.column(column)
    return values / np.log(count) if count > 1 else np.full_like(values, np.nan)
