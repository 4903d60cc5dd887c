"""Whether what was claimed of one modulus holds for another."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.claims import gaps, order
from hdlib.experiments.onset.claims.order import steps_of
from hdlib.experiments.onset.events import FALLEN, KNOWN, OUT, precedence
from hdlib.experiments.onset.results import PublishedOnset

TRIED: tuple[Claim[PublishedOnset], ...] = (*order.CLAIMS, *gaps.CLAIMS)
"""Claims of the first modulus, made before there was another."""


def _again(published: PublishedOnset) -> Verdict:
    (p, *_) = published.grid.moduli[1:]
    larger = published.at(p)
    failed = [claim.name for claim in TRIED if not claim.decide(larger).holds]
    return Verdict(
        0 < len(failed) < len(TRIED) / 2,
        {
            "held": len(TRIED) - len(failed),
            "lost": len(failed),
            "all": len(TRIED),
            "p": p,
            "first": published.p,
            "failed": ", ".join(failed) or "none",
            "networks": len(larger.followed),
            "generalised": len(larger.generalised),
        },
    )


AGAIN = Claim(
    name="not-all-at-another-size",
    says="Of the {all} claims about networks with p = {first}, thresholds and all, {held} hold for "
    "{networks} networks with p = {p} as well, and {lost} do not.",
    evidence="Those that do not: {failed}. {generalised} of {networks} generalise. Tests and "
    "thresholds were fixed before any network of this size was looked at; one had been trained, to "
    "see how long it takes. Two sentences were given the modulus that they are about afterwards.",
    decide=_again,
    seeds=10,
    null="the nulls of each claim",
    refuted_by="further seeds of this size for which all claims hold, or fewer than half.",
)


def _gap(published: PublishedOnset) -> Verdict:
    larger = published.at(published.grid.moduli[-1])
    known, fallen = (precedence(larger.followed, OUT, event) for event in (KNOWN, FALLEN))
    few = [bool(network.stands_out.any()) for network in larger.controls]
    first = precedence(published.followed, OUT, KNOWN)
    return Verdict(
        bool(known.networks[0] > len(larger.followed) / 4 and not fallen.networks[0]),
        {
            "p": larger.p,
            "first": published.p,
            "ahead": known.networks[0],
            "behind": known.networks[1],
            "all": len(larger.followed),
            "p_sign": known.p,
            "once": first.networks[0],
            "out": steps_of(larger, OUT),
            "known": steps_of(larger, KNOWN),
            "fallen": steps_of(larger, FALLEN),
            "few_out": sum(few),
            "few": len(few),
        },
    )


GAP = Claim(
    name="gap-before-the-accuracy",
    says="With p = {p} the gap is there before half of the pairs that memory cannot answer are "
    "right in {ahead} of {all} networks, with p = {first} in {once}; before the loss of the "
    "circuit alone has halved it is in none.",
    evidence="A gap below the rank of the head stands out from step {out} on, half of the other "
    "pairs are right at {known}: first in {ahead} networks, second in {behind} (p = {p_sign:.3f}). "
    "The restricted loss has halved at {fallen}. Of {few} networks with too few pairs {few_out} "
    "have such a gap at some checkpoint.",
    decide=_gap,
    seeds=10,
    null="networks that do not generalise; either order as likely",
    refuted_by="further seeds of this size of which fewer than a quarter have the gap first, or "
    "one that has it before the restricted loss has halved.",
    replaces="the gap was said to be no early sign. That was of p = 59, and at another size it "
    "is not so.",
)

CLAIMS = (AGAIN, GAP)
