"""Whether what was claimed of one modulus holds for another."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.claims import gaps, order
from hdlib.experiments.onset.results import OnsetResults, PublishedOnset

TRIED: tuple[Claim[PublishedOnset], ...] = (*order.CLAIMS, *gaps.CLAIMS)


def tried_again(results: OnsetResults) -> Markdown:
    """The claims of the first modulus, as networks with another decide them, as a list.

    Args:
        results: of the other modulus.
    """
    told = []
    for claim in TRIED:
        verdict = claim.decide(results)
        says, evidence = (t.format(**verdict.values) for t in (claim.says, claim.evidence))
        again = "So it is" if verdict.holds else "*Not so*"
        told.append(f"- {says} **{again} with p = {results.p}.** {evidence}")
    return Markdown("\n".join(told))


def _again(published: PublishedOnset) -> Verdict:
    (p, *_) = published.grid.moduli[1:]
    larger = published.at(p)
    failed = [claim.name for claim in TRIED if not claim.decide(larger).holds]
    return Verdict(
        len(failed) <= len(TRIED) / 4,
        {
            "held": len(TRIED) - len(failed),
            "all": len(TRIED),
            "p": p,
            "first": published.p,
            "failed": ", ".join(failed) or "none",
            "networks": len(larger.followed),
            "generalised": len(larger.generalised),
        },
    )


AGAIN = Claim(
    name="again-at-another-size",
    says="Of the {all} claims about networks with p = {first}, thresholds and all, {held} hold for "
    "{networks} networks with p = {p} as well.",
    evidence="Those that do not: {failed}. {generalised} of {networks} generalise. Sentences, "
    "tests and thresholds were fixed before any network of this size had been trained.",
    decide=_again,
    seeds=10,
    null="the nulls of each claim",
    refuted_by="more than a quarter of the claims that fail at another size.",
)

CLAIMS = (AGAIN,)
