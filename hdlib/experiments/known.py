"""What is known of the hypothesis now: its parts, and the claims for and against each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdlib.display import Markdown
from hdlib.experiments.claim import Claim

Chapter = tuple[Sequence[Claim[Any]], Callable[[], Any]]
"""Claims of a chapter, and what gives the published results that they are decided on."""


@dataclass(frozen=True)
class Part:
    """One part of the hypothesis.

    Attributes:
        says: the part, as a sentence.
        supporting: "chapter/claim" of claims that support it, if they hold.
        refuting: of claims that refute it.
        so: what is left to say of it, in a sentence or two.
    """

    says: str
    supporting: tuple[str, ...] = ()
    refuting: tuple[str, ...] = ()
    so: str = ""


@dataclass(frozen=True)
class Standing:
    """How a part stands: which of its claims hold in the published runs.

    Attributes:
        part: the part.
        supporting: (name, sentence) of claims that hold and support it.
        refuting: (name, sentence) of claims that hold and refute it.
    """

    part: Part
    supporting: tuple[tuple[str, str], ...]
    refuting: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> str:
        """Supported or refuted where all that holds agrees, both ways where not, else open."""
        if self.supporting and self.refuting:
            return "in part"
        if self.supporting:
            return "supported"
        return "refuted" if self.refuting else "open"


def standing(part: Part, chapters: Mapping[str, Chapter]) -> Standing:
    """Decide the claims of a part on the published runs.

    Raises:
        KeyError: if a claim is not one of its chapter.
    """

    def holding(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        found = []
        for name in names:
            chapter, _, short = name.partition("/")
            claims, published = chapters[chapter]
            claim = {claim.name: claim for claim in claims}[short]
            verdict = claim.decide(published())
            if verdict.holds:
                found.append((name, claim.says.format(**verdict.values)))
        return tuple(found)

    return Standing(part, holding(part.supporting), holding(part.refuting))


def shown(standings: Sequence[Standing]) -> Markdown:
    """Each part with its verdict, what is left to say, and the claims that decide it."""
    lines = []
    for found in standings:
        lines += [f"**{found.part.says}** *{found.verdict.capitalize()}.* {found.part.so}", ""]
        for label, claims in (("For", found.supporting), ("Against", found.refuting)):
            lines += [f"- {label}: {says} (@sec-{name.partition('/')[0]})" for name, says in claims]
        lines.append("")
    return Markdown("\n".join(lines).strip())
