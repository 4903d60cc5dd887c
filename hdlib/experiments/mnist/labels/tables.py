"""Tables and curves of the ninth gap with true and with shuffled labels."""

from __future__ import annotations

import numpy as np

from hdlib.display import Markdown, extent, table
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


def size_table(results: MnistLabelsResults) -> Markdown:
    """Against the images in the Hessian: how many ninth gaps stand out, and their scores."""
    sizes = sorted({samples for _, _, samples in results.by_size})
    rows = []
    for step, labels in dict.fromkeys((step, labels) for labels, step, _ in results.by_size):
        cells = []
        for samples in sizes:
            tests = results.by_size[labels, step, samples]
            standing = sum(test.stands_out for test in tests)
            scores = extent((test.score for test in tests), ".1f")
            cells.append(f"{standing} of {len(tests)} ({scores})")
        rows.append((f"{step:,}", labels, *cells))
    rows.sort(key=lambda row: int(row[0]))
    return table(("step", "labels", *(f"N = {samples:,}" for samples in sizes)), rows)


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
