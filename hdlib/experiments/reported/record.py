"""A number that somebody reported, ours beside it, and the rule that compares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.display import Markdown, extent, table
from hdlib.experiments.reported.rules import Rule

Array = NDArray[np.float64]
R = TypeVar("R")

Standing: TypeAlias = Literal["reproduced", "not reproduced", "artefact", "not comparable"]
STANDINGS: tuple[Standing, ...] = ("reproduced", "not reproduced", "artefact", "not comparable")
ORIGINAL = "the original"
NOTHING = "–"


class Control(NamedTuple, Generic[R]):
    """The same number where something else is known.

    Attributes:
        words: where that is, as the end of a sentence: "likewise with shuffled labels".
        of: results of the published runs ↦ the number there, (n,).
        due: whether the rule must hold there, too, if the number says what it is taken to say.
    """

    words: str
    of: Callable[[R], ArrayLike]
    due: bool = False


class Compared(NamedTuple):
    """What came of a comparison.

    Attributes:
        ours: (n,); empty where there is nothing of ours.
        standing: the verdict.
        why: what it rests on beside the rule; "" for nothing.
    """

    ours: Array
    standing: Standing
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Reported(Generic[R]):
    """A reported number beside ours.

    A verdict follows from numbers where they can decide: it is *reproduced* where the rule holds
    for ours, and an *artefact* where it holds but the control is not as it must be. Where numbers
    cannot decide, ``apart`` or ``known`` says why.

    Attributes:
        work: who reported it: `ORIGINAL`, or a citation.
        what: what was measured, and in what setting.
        says: the number as it was reported.
        ours: results of the published runs ↦ ours, (n,), a number a network or draw; None for
            nothing of ours.
        rule: when ours bears it out; None where they cannot be compared.
        seeds: networks of ours, trained from different seeds, that are in it.
        section: label of the section of this book that has it.
        form: format of ours.
        control: what tells an artefact.
        apart: why ours and theirs cannot be compared.
        known: why it is an artefact, where the method alone shows it.
    """

    work: str
    what: str
    says: str
    ours: Callable[[R], ArrayLike] | None
    rule: Rule | None
    seeds: int
    section: str
    form: str = ".2g"
    control: Control[R] | None = None
    apart: str = ""
    known: str = ""

    def __post_init__(self) -> None:
        decided = [bool(self.rule), bool(self.apart), bool(self.known)]
        if sum(decided) != 1:
            raise ValueError(f"{self.what}: one of rule, apart and known decides, not {decided}")
        if self.ours is None and (self.rule or self.seeds):
            raise ValueError(f"{self.what}: without ours there is no rule, and no seed")

    def compare(self, results: R) -> Compared:
        """Ours, and the verdict."""
        ours = np.array([]) if self.ours is None else _flat(self.ours(results))
        if self.rule is None:
            return Compared(ours, "artefact" if self.known else "not comparable")
        if not self.rule.holds(ours):
            return Compared(ours, "not reproduced")
        if self.control is None:
            return Compared(ours, "reproduced")
        beside = _flat(self.control.of(results))
        there = self.rule.holds(beside)
        why = f"{'likewise' if there else 'not so'} {self.control.words}"
        standing: Standing = "reproduced" if there == self.control.due else "artefact"
        return Compared(ours, standing, f"{why} ({extent(beside, self.form)})")

    def row(self, results: R) -> tuple[str, ...]:
        """Cells of a table, as `HEADER` names them."""
        compared = self.compare(results)
        rule = self.rule.words if self.rule else self.apart or self.known
        verdict = f"{compared.standing}: {compared.why}" if compared.why else compared.standing
        return (
            self.work,
            self.what,
            self.says,
            extent(compared.ours, self.form) if len(compared.ours) else NOTHING,
            str(self.seeds or NOTHING),
            rule,
            verdict,
            f"[-@{self.section}]",
        )


HEADER = (
    *("reported by", "what", "reported", "ours", "seeds"),
    *("reproduced if, or not comparable since", "verdict", "in"),
)

SEPARATOR = f"| {' | '.join(':' + '-' * width for width in (9, 30, 10, 11, 5, 18, 16, 4))} |"
"""Pandoc takes the widths of columns from it."""


def reported_table(records: Sequence[Reported[R]], results: R) -> Markdown:
    """Records as a table, in their order."""
    rows = (record.row(results) for record in records)
    header, _, *body = table(HEADER, rows, numbers=False).split("\n")
    return Markdown("\n".join([header, SEPARATOR, *body]))


def counts(records: Sequence[Reported[R]], results: R) -> dict[Standing, int]:
    """How many records have each verdict."""
    found = [record.compare(results).standing for record in records]
    return {standing: found.count(standing) for standing in STANDINGS}


def _flat(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64).ravel()
