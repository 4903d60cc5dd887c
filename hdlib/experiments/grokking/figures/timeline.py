"""All measures of a run on one line of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hdlib.experiments.grokking.clusters import PurityResults
from hdlib.experiments.grokking.learning import CoefficientResults
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.figures import Curve, Panel, curves
from hdlib.figures.style import BLUE, INK, ORANGE, VERMILLION
from hdlib.training import MIRRORED, OTHERS


def timeline(
    results: GrokkingResults, purities: PurityResults, coefficients: CoefficientResults
) -> Figure:
    """Function, curvature, eigenvectors and learning coefficients of one run, against the step.

    Args:
        results: the run.
        purities: its purities.
        coefficients: its local learning coefficients; their error bars are the differences of two
            chains.
    """
    history, measures = results.history, results.summary[0]
    leading = [purities.leading(step) for step in purities.steps]
    steps, chains = coefficients.steps, coefficients.whole
    panels = {
        "test pairs right": Panel(
            {
                "mirrored": Curve(results.pairs["step"], results.pairs[MIRRORED]),
                "others": Curve(results.pairs["step"], results.pairs[OTHERS]),
            },
            covers=(0, 1),
        ),
        "loss": Panel(
            {
                "training": Curve(history["step"], history["train_loss"]),
                "restricted": Curve(results.steps, results.measure("restricted_loss")),
            },
            yscale="log",
        ),
        "curvature": Panel(
            {
                "trace": Curve(measures["step"], measures["trace"]),
                "λmax": Curve(measures["step"], measures["largest_eigenvalue"]),
            },
            yscale="log",
        ),
        "purity of the first twelve eigenvectors": Panel(
            {"": Curve(purities.steps, [test.purity for test in leading])},
            nulls={"random bases, most": Curve(purities.steps, [t.rotated.max() for t in leading])},
            covers=(0,),
        ),
        "learning coefficient λ̂": Panel(
            {
                "all weights": Curve(
                    steps,
                    _positive(chains.mean(1)),
                    np.ptp(chains, axis=1) / 2,
                    colour=INK,
                ),
                "each head": [
                    Curve(steps, _positive(head), colour=ORANGE) for head in coefficients.heads.T
                ],
            },
            nulls={"a parabola, all weights": Curve(steps, coefficients.parabola)},
            yscale="log",
        ),
        "λ̂ of frequencies": Panel(
            {
                name: [Curve(steps, _positive(each), colour=colour) for each in found.T]
                for name, found, colour in (
                    ("key frequencies", coefficients.frequencies, BLUE),
                    ("other frequencies", coefficients.others, VERMILLION),
                )
            },
            yscale="log",
        ),
    }
    shaded = {"transition": results.transition} if results.transition else {}
    return curves(
        {title: replace(panel, shaded=shaded) for title, panel in panels.items()},
        columns=2,
        xscale="linear",
    )


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a mean over draws is below zero by chance, nothing can be drawn."""
    return np.where(values > 0, values, np.nan)
