"""Tables and curves of modules with true and with shuffled labels."""

from __future__ import annotations

import numpy as np

from hdlib.display import Markdown, extent, table
from hdlib.experiments.fiedler.config import CHOSEN
from hdlib.experiments.fiedler.labels.recipe import PARTS
from hdlib.experiments.fiedler.labels.results import LABELS, FiedlerLabelsResults
from hdlib.experiments.lenet import log_spaced
from hdlib.figures import Panel


def labels_table(results: FiedlerLabelsResults) -> Markdown:
    """Agreement of the modules with what they follow, from the least to the most over the seeds.

    Of H with units and classes, of G with classes, and of R with units, at a few checkpoints.
    """
    units, classes = results.compared
    columns = (("H", units), ("H", classes), ("G", classes), ("R", units))
    rows = []
    for step in log_spaced(results.steps.tolist(), CHOSEN):
        at = int(np.searchsorted(results.steps, step))
        for labels in LABELS:
            found = (results.agreement[labels, part, truth][:, at] for part, truth in columns)
            cells = (extent(values, ".2f") for values in found)
            ratio = extent(results.ratios[labels][:, at], ".2f")
            rows.append((f"{step:,}", labels, ratio, *cells))
    names = (f"{part}: {truth}" for part, truth in columns)
    return table(("step", "labels", "Σ|R| / Σ|G|", *names), rows)


def null_table(results: FiedlerLabelsResults) -> Markdown:
    """The most that modules of the null agree with units or classes, beside their modularity."""
    rows = []
    for labels in LABELS:
        for at, part in enumerate(PARTS):
            most = max(
                np.abs(results.null_agreement[labels, part, truth]).max()
                for truth in results.compared
            )
            gain = results.modularity_gain[labels][..., at]
            rows.append((f"{part}, {labels}", f"{most:.2f}", f"{gain.min():.1f}"))
    header = ("modules of", "the null's agreement, at most", "modularity over the null's, at least")
    return table(header, rows)


def agreement_panels(results: FiedlerLabelsResults) -> dict[str, Panel]:
    """Agreement with units and classes through training, a curve a seed, for `curves`."""
    return {
        f"{part}: {labels}": Panel(
            {truth: results.agreement[labels, part, truth].T for truth in results.compared},
            x=results.steps,
            ylabel="adjusted Rand index",
            covers=(0, 1),
        )
        for part in PARTS
        for labels in LABELS
    }
