"""The chapter's figures, of its results."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hdlib.experiments.onset.results import FollowedNetwork, OnsetResults
from hdlib.figures import Curve, Panel, curves
from hdlib.training import OTHERS

FREQUENCY = "frequency {}"
ABOVE = "eigenvalues above a gap that stands out"
PREDICTED = "heads + twice the key frequencies"


def timeline(network: FollowedNetwork) -> Figure:
    """Accuracy, circuit and spectrum of one network through training, each frequency a colour.

    From the first of two checkpoints at which the span above a gap that stands out has two
    directions of a frequency, the frequency has a thick dot in the panel of its power.
    """
    names = [FREQUENCY.format(k) for k in network.frequencies]
    power, detached = network.power, network.detached()
    panels = {
        "pairs": Panel(
            {
                "training pairs": network.column("train_accuracy"),
                "other pairs": network.column(OTHERS),
            },
            x=network.steps,
            ylabel="accuracy",
            covers=(0, 1),
        ),
        "share of the logits": Panel(
            {name: power[:, k] for k, name in enumerate(names)},
            x=network.steps,
            ylabel="share of their variance",
            covers=(0,),
        ),
        "directions of a frequency above the gap": Panel(
            {name: detached[:, k].astype(float) * (k + 1) for k, name in enumerate(names)},
            x=network.steps,
            ylabel="frequency",
        ),
        "spectrum": Panel(
            {ABOVE: Curve(network.steps, network.detached_ranks)},
            limits={PREDICTED: float(network.predicted_rank)},
            ylabel="number",
            covers=(0,),
        ),
    }
    return curves(panels, xscale="linear")


def onsets(results: OnsetResults) -> Figure:
    """When curvature shows a frequency against when the function does; a point a frequency.

    Those that curvature never shows stand hollow at the top.
    """
    last = results.grid.n_steps
    points = {}
    for p, networks in results.followed.items():
        function, curvature = results.onsets(networks)
        never = ~np.isfinite(curvature)
        order = np.argsort(function[~never])
        points[f"p = {p}"] = [
            Curve(function[~never][order], curvature[~never][order]),
            Curve(np.sort(function[never]), np.full(never.sum(), 1.05 * last), markers="hollow"),
        ]
    panel = Panel(
        {},
        points=points,
        nulls={"at the same step": Curve([0, last], [0, last])},
        ylabel="two directions above a gap, step",
        covers=(0, 1.05 * last),
    )
    return curves(panel, xlabel="half of its share of the logits at the end, step", xscale="linear")
