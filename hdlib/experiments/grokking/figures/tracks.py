"""Clusters followed through training, coloured by the frequency that they move."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hdlib.experiments.grokking.clusters import PurityResults
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.figures import Curve, Panel, cluster_tracks
from hdlib.training import OTHERS

SHOWN = 30
"""Leading eigenvectors that are drawn."""


def circuit_arrival(purities: PurityResults, results: GrokkingResults) -> Figure:
    """Clusters of leading eigenvalues through training, and the circuit in the logits beneath.

    Eigenvectors are in colour where more than half of their response is of one of the key
    frequencies of the end; beneath are the shares of these in the logits, in the same colours, and
    the accuracy on the test pairs that memory cannot answer.

    Args:
        purities: purities of a run.
        results: the same run.
    """
    names = {k: f"k = {k}" for k in results.frequencies}
    groups = np.stack([purities.pure(step)[:SHOWN] for step in purities.steps])
    power = results.measure("logit_power")
    panels = {
        "share of each frequency in the logits": Panel(
            {label: Curve(results.steps, power[:, k - 1]) for k, label in names.items()},
            covers=(0,),
        ),
        "accuracy on the test pairs that memory cannot answer": Panel(
            {"": Curve(results.pairs["step"], results.pairs[OTHERS])}, covers=(0, 1)
        ),
    }
    return cluster_tracks(
        purities.tracks,
        purities.eigenvalues[:, :SHOWN],
        np.where(np.isin(groups, [*names]), groups, 0),
        names=names | {0: "no single one of these"},
        panels=panels,
        ylabel="λ / λmax",
    )
