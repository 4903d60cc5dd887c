"""What is known of the hypothesis now: its parts, and the claims for and against each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdlib.display import Markdown
from hdlib.experiments.claim import Claim
from hdlib.experiments.emergence import claims as emergence
from hdlib.experiments.fiedler import claims as fiedler
from hdlib.experiments.grokking import claims as grokking
from hdlib.experiments.mnist import claims as mnist
from hdlib.experiments.onset import claims as onset
from hdlib.experiments.planted import claims as planted

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


PARTS = (
    Part(
        "A tight cluster of eigenvalues is a circuit.",
        supporting=("grokking/doublets",),
        refuting=(
            "planted/strangers-are-close",
            "planted/zeros-are-symmetries",
            "grokking/zeros-by-symmetry",
            "grokking/closed-form",
        ),
        so="As a rule it is a symmetry, or an accident between strangers. It is part of a circuit "
        "where a symmetry of the task makes pairs of directions that do the same thing, and "
        "nothing of another circuit comes close.",
    ),
    Part(
        "A gap in the spectrum is a boundary between circuits.",
        refuting=(
            "planted/gaps-do-not-part-circuits",
            "planted/the-union-counts-both",
            "planted/gaps-part-scales",
        ),
        so="Gaps order scales. Circuits of one scale lie through one another.",
    ),
    Part(
        "A gap counts something of the network.",
        supporting=(
            "grokking/heads-counted",
            "grokking/gap-without-circuit",
            "grokking/uniform-attention",
            "mnist/nine-outputs",
            "mnist/nine-from-all-images",
        ),
        refuting=("planted/the-rank-is-not-a-constant", "planted/not-two-a-frequency"),
        so="What it counts has been there from early on, like heads and outputs, and not the parts "
        "of the circuit that forms.",
    ),
    Part(
        "The spectrum shows when a circuit forms.",
        supporting=(
            "planted/seen-before-it-can-be-tested",
            "onset/first-before-accuracy",
            "onset/gap-before-the-accuracy",
        ),
        refuting=(
            "onset/gap-is-no-early-sign",
            "onset/rest-comes-after",
            "onset/logits-before-curvature",
            "grokking/not-all-in-another-run",
            "planted/ratio-sees-wiring",
            "emergence/outliers-after",
        ),
        so="Gaps come with generalisation or after it in most networks, and at one size as often "
        "before it. What leading eigenvectors do to the function is ahead of the accuracy for a "
        "part of the circuit. Neither is ahead of the function itself.",
    ),
    Part(
        "The curvature at a network tells of what surrounds it.",
        refuting=("grokking/no-parabola",),
        so="While it memorises it does. Afterwards the loss is nearly zero where the network is, "
        "and what surrounds it is not of second order. The local learning coefficient sees that: "
        "it falls once a network has memorised, and farther with a circuit; and it names none.",
    ),
    Part(
        "Circuits are in the eigenvectors: in what they do to the function.",
        supporting=(
            "planted/vectors-part-circuits",
            "planted/circuits-form",
            "planted/sort-then-read",
            "grokking/pure-vectors",
            "grokking/linear-purity",
        ),
        so="This is what the hypothesis becomes once it is made to work: sort the eigenvectors by "
        "what they do, and read the eigenvalues of each group. The null is a random basis of the "
        "same span.",
    ),
    Part(
        "Parameters that curve together are a circuit.",
        supporting=("planted/vectors-part-circuits",),
        refuting=(
            "planted/modules-belong-to-the-basis",
            "fiedler/parts-without-classes",
            "fiedler/original-finds-neither",
            "fiedler/no-stable-partition",
        ),
        so="Of the Gauss–Newton part, in the basis that the network was written in, and where "
        "circuits are there to be found. Of the whole Hessian the residual decides first, and it "
        "knows units and no tasks.",
    ),
)
"""The hypothesis of the book, part by part."""
CHAPTERS: Mapping[str, Chapter] = {
    "mnist": (mnist.CLAIMS, mnist.published),
    "planted": (planted.CLAIMS, planted.published),
    "grokking": (grokking.CLAIMS, grokking.published),
    "onset": (onset.CLAIMS, onset.published),
    "fiedler": (fiedler.CLAIMS, fiedler.published),
    "emergence": (emergence.CLAIMS, emergence.published),
}
"""The chapters whose claims bear on it."""


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


def standing(part: Part, chapters: Mapping[str, Chapter] = CHAPTERS) -> Standing:
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


def shown(parts: Sequence[Part] = PARTS, chapters: Mapping[str, Chapter] = CHAPTERS) -> Markdown:
    """Each part with its verdict, what is left to say, and the claims that decide it."""
    lines = []
    for found in (standing(part, chapters) for part in parts):
        lines += [f"**{found.part.says}** *{found.verdict.capitalize()}.* {found.part.so}", ""]
        for label, claims in (("For", found.supporting), ("Against", found.refuting)):
            lines += [f"- {label}: {says} (@sec-{name.partition('/')[0]})" for name, says in claims]
        lines.append("")
    return Markdown("\n".join(lines).strip())
