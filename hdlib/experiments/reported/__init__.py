"""Numbers that others reported, ours beside them, and a verdict by rule: the ledger's tables.

`record` and `rules` say what a record is and when ours bears a reported number out; the other
files have the records, by the chapter whose published runs give ours. Nothing is typed but what was
reported, and what a rule allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hdlib.display import Markdown, table
from hdlib.experiments.depth.results import published as depth_runs
from hdlib.experiments.emergence.published import published as emergence_runs
from hdlib.experiments.grokking.results import published as grokking_runs
from hdlib.experiments.least_action.results import published as least_action_runs
from hdlib.experiments.mnist.results import published as mnist_runs
from hdlib.experiments.planted.published import published as planted_runs
from hdlib.experiments.reported import depth, emergence, grokking, least_action, mnist, planted
from hdlib.experiments.reported.record import (
    STANDINGS,
    Compared,
    Control,
    Reported,
    counts,
    reported_table,
)

__all__ = [
    "CHAPTERS",
    "Compared",
    "Control",
    "Reported",
    "published",
    "shown",
    "summary",
]

CHAPTERS: dict[str, Sequence[Reported[Any]]] = {
    "mnist": mnist.RECORDS,
    "planted": planted.RECORDS,
    "grokking": grokking.RECORDS,
    "depth": depth.RECORDS,
    "emergence": emergence.RECORDS,
    "least-action": least_action.RECORDS,
}
"""Records of each chapter whose published runs give ours."""
_RUNS: dict[str, Callable[[], Any]] = {
    "mnist": mnist_runs,
    "planted": planted_runs,
    "grokking": grokking_runs,
    "depth": depth_runs,
    "emergence": emergence_runs,
    "least-action": least_action_runs,
}


def published(chapter: str) -> Any:
    """The published runs of a chapter, which its records compare with.

    Raises:
        KeyError: if there are no records of it.
    """
    return _RUNS[chapter]()


def shown(chapter: str) -> Markdown:
    """All records of a chapter as a table.

    Raises:
        KeyError: if there are none.
    """
    return reported_table(CHAPTERS[chapter], published(chapter))


def summary() -> Markdown:
    """How many records of each chapter have each verdict."""
    rows = [
        (f"@sec-{name}", *counts(records, published(name)).values())
        for name, records in CHAPTERS.items()
    ]
    totals = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    return table(("chapter", *STANDINGS), [*rows, ("all", *totals)])
