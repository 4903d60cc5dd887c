"""What the learned function is made of: waves of a and b."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from hdlib.experiments.least_action.figures.drawn import Networks, histories, with_curves
from hdlib.experiments.least_action.results import TrainedNetwork
from hdlib.figures import Panel, curves, pair_maps
from hdlib.figures.axes import Scale

DECADES = 6
"""Of power that a map shows; what is less has its first colour."""


def fourier_map(network: TrainedNetwork) -> Figure:
    """Share of the logits' power in each frequency in a and in b, at the first and last checkpoint.

    Functions of a + b are the rising diagonal, functions of a − b the falling one, functions of one
    number alone the axes. Of additions, where the network knows two operations.
    """
    p = network.config.p
    panels = {
        f"step {step:,}": np.fft.fftshift(found["power"][0]) for step, found in network.maps.items()
    }
    most = max(float(power.max()) for power in panels.values())
    return pair_maps(
        panels,
        np.arange(p) - p // 2,
        label="share of the power",
        names=("frequency in a", "frequency in b"),
        norm=LogNorm(most / 10**DECADES, most, clip=True),
    )


def function_shares(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """How much of the logits is a function of a + b, of a · b, and of low frequency.

    Colour is the arm, a line a seed; panels that no network has are left out.
    """
    columns = {
        "function of a + b": "sum_share",
        "function of a · b": "product_share",
        "low frequencies": "low_frequency_share",
    }
    panels = {
        title: Panel(histories(networks, column), ylabel="share of the power", covers=(0, 1))
        for title, column in columns.items()
    }
    return curves(with_curves(panels), xscale=xscale)
