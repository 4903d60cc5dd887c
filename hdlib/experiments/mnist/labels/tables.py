"""Tables and curves of the ninth gap with true and with shuffled labels."""

from __future__ import annotations

import numpy as np

from hdlib.display import Markdown, table
from hdlib.experiments.mnist.gaps import PREDICTED, SMALL_P
from hdlib.experiments.mnist.labels.results import LABELS, MnistLabelsResults
from hdlib.figures import Panel


def labels_table(results: MnistLabelsResults) -> Markdown:
    """At each checkpoint, over the seeds: how many ninth gaps stand out, and their scores."""
    rows = []
    for at, step in enumerate(results.steps):
        cells = []
        for labels in LABELS:
            scores = np.sort(results.scores[labels][:, at])
            cells += [
                f"{results.standing[labels][:, at].sum()} of {len(results.seeds)}",
                f"{scores[0]:.1f} … {np.median(scores):.1f} … {scores[-1]:.1f}",
                f"{results.accuracy[labels][:, at].mean():.0%}",
            ]
        rows.append((f"{step:,}", *cells))
    columns = ("gaps at nine", "score", "accuracy")
    kinds = (labels.removesuffix(" labels") for labels in LABELS)
    header = (f"{kind}: {column}" for kind in kinds for column in columns)
    return table(("step", *header), rows)


def whole_table(results: MnistLabelsResults) -> Markdown:
    """The ninth gap in Hessians over all training images, beside those over a few."""
    rows = []
    for (seed, shuffled), tests in results.whole.items():
        labels = next(name for name, value in LABELS.items() if value == shuffled)
        for step, test in sorted(tests.items()):
            few = results.gaps[seed, shuffled][int(np.searchsorted(results.steps, step))]
            cells = [f"{gap.score:.2f} (p {gap.p:.2g})" for gap in (few, test)]
            rows.append((seed, labels, f"{step:,}", *cells))
    samples = next(iter(results.runs.values())).config.hessian_samples
    header = ("seed", "labels", "step", f"score at {PREDICTED}, N = {samples:,}", "all images")
    return table(header, rows)


def label_panels(results: MnistLabelsResults) -> dict[str, Panel]:
    """The calibrated score at rank nine of each network through training, for `curves`."""
    return {
        labels: Panel(
            {
                f"seed {seed}": values
                for seed, values in zip(results.seeds, results.calibrated[labels], strict=True)
            },
            x=results.steps,
            limits={f"p = {SMALL_P}": 1.0},
            ylabel=f"score at rank {PREDICTED} / threshold",
            yscale="log",
        )
        for labels in LABELS
    }
