"""Claims about whether nine outliers mark ten classes: seeds, and labels that have no classes."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.gaps import CLASSES, FEATURELESS
from hdlib.experiments.mnist.labels.results import (
    SHUFFLED,
    TRUE,
    MnistLabelsResults,
    paired_p,
)

CHANCE = 0.2
"""Test accuracy below which no class is learnt: twice what a constant answer has."""


def _early(results: MnistLabelsResults) -> slice:
    """Checkpoints after the first update and before the end of the epoch."""
    return slice(1, len(results.steps) - 1)


def _without_classes(results: MnistLabelsResults) -> Verdict:
    early = _early(results)
    standing = {labels: values[:, early].any(1) for labels, values in results.standing.items()}
    found = {labels: values[:, early].any(1) for labels, values in results.found.items()}
    highest = {labels: values[:, early].max(1) for labels, values in results.scores.items()}
    accuracy = results.accuracy[SHUFFLED].max()
    return Verdict(
        bool(standing[SHUFFLED].all() and found[SHUFFLED].sum() >= 4 and accuracy < CHANCE),
        {
            "seeds": len(results.seeds),
            "shuffled": standing[SHUFFLED].sum(),
            "true": standing[TRUE].sum(),
            "shuffled_found": found[SHUFFLED].sum(),
            "true_found": found[TRUE].sum(),
            "shuffled_scores": extent(highest[SHUFFLED], ".1f"),
            "true_scores": extent(highest[TRUE], ".1f"),
            "p": paired_p(highest[TRUE] - highest[SHUFFLED]),
            "accuracy": accuracy,
            "classes": CLASSES,
        },
    )
