"""The gaps at the top of the MNIST chapter's spectra, against featureless ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.measures import (
    GapTest,
    featureless_scores,
    featureless_spacings,
    gap_test,
    spacing_ratio,
    tail_spacings,
)
from hdlib.measures.featureless import LEVEL, quantile_error

Array = NDArray[np.float64]

CLASSES = 10
PREDICTED = CLASSES - 1
"""Independent directions in the output space of a softmax over ten classes."""
SECOND_LEVEL = range(PREDICTED**2, CLASSES**2 + 1)
"""Where a level from pairs of K classes may end: (K − 1)², K (K − 1) and K² are among these."""

GAP_HEADER = (
    "highest score (rank)",
    "p",
    f"score at {PREDICTED}",
    "p alone",
    f"score at {CLASSES}",
    "p alone",
    f"highest in {SECOND_LEVEL[0]}–{SECOND_LEVEL[-1]} (rank)",
    "p in these",
)


class Setting(NamedTuple):
    """Of simulated spectra: tail index α, number of images N, and spread of their log weights."""

    tail_index: float = 1.0
    samples: int = 400
    spread: float = 0.0


SETTINGS = (
    Setting(),
    Setting(spread=1.0),
    Setting(spread=2.0),
    Setting(tail_index=0.6, samples=200),
    Setting(tail_index=1.5),
)


@cache
def nulls() -> tuple[Array, ...]:
    """Spacings of featureless spectra in each setting; simulated once, in a few seconds."""
    return tuple(featureless_spacings(**setting._asdict()) for setting in SETTINGS)


def searched(eigenvalues: Array) -> GapTest:
    """The gap with the highest score among the top 100."""
    return gap_test(eigenvalues, nulls())


def predicted(eigenvalues: Array, rank: int = PREDICTED) -> GapTest:
    """The gap below a rank that was predicted, tested alone."""
    return gap_test(eigenvalues, nulls(), ranks=[rank])


def second_level(eigenvalues: Array) -> GapTest:
    """The gap with the highest score where a second level may end."""
    return gap_test(eigenvalues, nulls(), ranks=SECOND_LEVEL)


def gap_row(eigenvalues: Array) -> tuple[str, ...]:
    """What `GAP_HEADER` names, for one spectrum."""
    search, level = searched(eigenvalues), second_level(eigenvalues)
    alone = [predicted(eigenvalues, rank) for rank in (PREDICTED, CLASSES)]
    return (
        f"{search.score:.2f} ({search.rank})",
        _chance(search.p),
        *(text for test in alone for text in (f"{test.score:.2f}", _chance(test.p))),
        f"{level.score:.2f} ({level.rank})",
        _chance(level.p),
    )


def null_table(spectra: Iterable[Array]) -> Markdown:
    """The settings of the null and the thresholds that they give for the tails of some spectra."""
    spectra = list(spectra)
    rows = []
    for setting, null in zip(SETTINGS, nulls(), strict=True):
        scores = [featureless_scores(null, eigenvalues) for eigenvalues in spectra]
        highest = [each.max(1) for each in scores]
        rows.append(
            (
                "simulated",
                f"{setting.tail_index:g}",
                setting.samples,
                f"{setting.spread:g}",
                f"{spacing_ratio(null):.3f}",
                f"{np.quantile((null / null.mean(1, keepdims=True)).max(1), LEVEL):.1f}",
                _range([np.quantile(each, LEVEL) for each in highest]),
                f"{np.median([quantile_error(each) for each in highest]):.2f}",
                _range([np.quantile(each[:, PREDICTED - 1], LEVEL) for each in scores]),
            )
        )
    spacings = [tail_spacings(eigenvalues) for eigenvalues in spectra]
    index = _range([each.mean() for each in spacings])
    ratio = f"{np.mean([spacing_ratio(each) for each in spacings]):.3f}"
    rows.append(("this run", index, "", "", ratio, "", "", "", ""))
    header = (
        "spectra",
        "tail index",
        "images",
        "spread of log weights",
        "mean ratio of neighbouring spacings",
        "threshold of the highest, straight tail",
        "with the tails of this run",
        "standard error",
        f"threshold: rank {PREDICTED} alone",
    )
    return table(header, rows)


def _chance(p: float) -> str:
    """A p-value; the least that the draws can show is a bound."""
    draws = sum(len(null) for null in nulls())
    return f"≤ {p:.3f}" if p <= 1 / (1 + draws) else f"{p:.2g}"


def _range(values: list) -> str:
    return f"{min(values):.1f}–{max(values):.1f}"
