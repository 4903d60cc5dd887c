"""Whether what was claimed of one run holds for another."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims import (
    ends,
    learning,
    purity,
    sharpness,
    spectrum,
    training,
)
from hdlib.experiments.grokking.results import PublishedGrokking

_PARTS = (training, spectrum, ends, purity, sharpness, learning)
TRIED: tuple[Claim[PublishedGrokking], ...] = tuple(
    claim for part in _PARTS for claim in part.CLAIMS if claim.seeds == 1
)
"""Claims about the course of one run, made before there was another."""


def lost(published: PublishedGrokking) -> list[Claim[PublishedGrokking]]:
    """Those that do not hold in the second run."""
    return [claim for claim in TRIED if not claim.decide(published.again).holds]


def _again(published: PublishedGrokking) -> Verdict:
    second = published.again
    verdicts = {claim.name: claim.decide(second) for claim in TRIED}
    failed = [name for name, verdict in verdicts.items() if not verdict.holds]
    unasked = [name for name in failed if verdicts[name].instead]
    return Verdict(
        0 < len(failed) < len(TRIED),
        {
            "held": len(TRIED) - len(failed),
            "lost": len(failed),
            "all": len(TRIED),
            "failed": ", ".join(failed) or "none",
            "unasked": ", ".join(unasked) or "none",
            "accuracy": second.results.history["test_accuracy"][-1],
            "n_steps": second.results.config.n_steps,
        },
    )


AGAIN = Claim(
    name="not-all-in-another-run",
    says="Of the {all} claims about the course of one run, thresholds and all, {held} hold in a "
    "second run from another seed, and {lost} do not.",
    evidence="Those that do not: {failed}. Of these {unasked} are about something that is not "
    "found there. The second run gets {accuracy:.1%} of the test pairs right after {n_steps:,} "
    "steps. What decides the claims was as it is here before it was trained.",
    decide=_again,
    seeds=2,
    null="the nulls of each claim",
    refuted_by="a third run in which all of them hold, or none.",
)
CLAIMS = (AGAIN,)
