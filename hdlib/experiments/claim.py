"""Claims: what a chapter says, as data that is decided on its published runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hdlib.display import Markdown

R = TypeVar("R")


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, and the numbers that say so.

    Attributes:
        holds: the decision.
        values: numbers and words by name, for the sentences of the claim.
        instead: what is said in place of the evidence, where something was not found that it is
            about.
    """

    holds: bool
    values: Mapping[str, object]
    instead: str = ""


@dataclass(frozen=True)
class Claim(Generic[R]):
    """A sentence that results of published runs decide.

    Attributes:
        name: short, of letters and hyphens; unique in its chapter.
        says: the sentence; ``{name:format}`` stands for a value of the verdict.
        evidence: the numbers behind it, with values likewise.
        decide: results of the published runs ↦ verdict.
        seeds: how many networks, trained from different seeds, it was looked at in.
        null: what it is compared with; "none" where there is nothing.
        refuted_by: the observation that would refute it.
        replaces: an earlier claim that this one overturned, and why; "" for none.
        second: results ↦ those of a second run that it was put to afterwards; None for none.
    """

    name: str
    says: str
    evidence: str
    decide: Callable[[R], Verdict]
    seeds: int
    null: str
    refuted_by: str
    replaces: str = ""
    second: Callable[[R], R] | None = None

    def told(self, verdict: Verdict) -> tuple[str, str]:
        """The sentence, and the evidence for it or what is said in its place."""
        evidence = verdict.instead or self.evidence.format(**verdict.values)
        return self.says.format(**verdict.values), evidence

    def shown(self, results: R) -> Markdown:
        """The claim as a paragraph: sentence, whether it holds, evidence, and what refutes it."""
        verdict = self.decide(results)
        says, evidence = self.told(verdict)
        seeds = "one seed" if self.seeds == 1 else f"{self.seeds} seeds"
        parts = [
            f"**{says}** {'Holds' if verdict.holds else 'DOES NOT HOLD'} in the published runs "
            f"({seeds}; null: {self.null}).",
            self._of_second(results),
            evidence,
            f"Refuted by: {self.refuted_by}",
        ]
        if self.replaces:
            parts.append(f"*Earlier: {self.replaces}*")
        return Markdown(" ".join(part for part in parts if part))

    def _of_second(self, results: R) -> str:
        if self.second is None:
            return ""
        holds = self.decide(self.second(results)).holds
        return f"In a second run it does{'' if holds else ' *not*'}."


class Shown(Protocol):
    """What a chapter's cell calls to show some of its claims."""

    def __call__(self, *names: str) -> Markdown: ...


def shown_by(claims: Iterable[Claim[R]], published: Callable[[], R]) -> Shown:
    """A function of names that shows a chapter's claims, as its published runs decide them.

    Args:
        claims: all that the chapter has.
        published: results of its published runs, which are read where a claim is asked for.
    """

    def shown_claims(*names: str) -> Markdown:
        """Claims, as the published runs decide them: those of the names given, or all.

        Raises:
            ValueError: if there is no claim of a name.
        """
        return shown(claims, published(), *names)

    return shown_claims


def tried_again(claims: Iterable[Claim[R]], results: R) -> Markdown:
    """Claims as results decide them that they were not made from, as a list.

    Args:
        claims: about other networks.
        results: of these.
    """
    told = []
    for claim in claims:
        verdict = claim.decide(results)
        says, evidence = claim.told(verdict)
        told.append(f"- {says} **{'So it is' if verdict.holds else 'It is not so'}.** {evidence}")
    return Markdown("\n".join(told))


def shown(claims: Iterable[Claim[R]], results: R, *names: str) -> Markdown:
    """Claims as a list: those of the names given, in this order, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    known = {claim.name: claim for claim in claims}
    if unknown := set(names) - set(known):
        raise ValueError(f"no claim is named {', '.join(sorted(unknown))}; there are: {[*known]}")
    chosen = [known[name] for name in names] or list(known.values())
    return Markdown("\n".join(f"- {claim.shown(results)}" for claim in chosen))
