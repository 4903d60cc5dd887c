"""Claims about nulls: networks that do not generalise, other bases, other networks' steps."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.claims.order import LEVEL
from hdlib.experiments.onset.events import KNOWN, SEEN, coupling, mismatched_share, precedence
from hdlib.experiments.onset.results import PublishedOnset
from hdlib.training import OTHERS


def _too_few(published: PublishedOnset) -> Verdict:
    right = [float(network.column(OTHERS)[-1]) for network in published.controls]
    seen, found = (
        [float(network.seen()[-1].mean()) for network in group]
        for group in (published.controls, published.followed)
    )
    gaps = [bool(network.stands_out[-1]) for network in published.controls]
    return Verdict(
        bool(max(right) < 0.5 and max(seen) < min(found)),
        {
            "right": extent(right, ".0%"),
            "seen": extent(seen, ".0%"),
            "found": extent(found, ".0%"),
            "gaps": sum(gaps),
            "all": len(gaps),
            "learnt": sum(bool(network.stands_out[-1]) for network in published.followed),
            "networks": len(published.followed),
        },
    )


def _rotated(published: PublishedOnset) -> Verdict:
    own, rotated, relabelled = (
        [float(network.detached(name)[-1].mean()) for network in published.followed]
        for name in ("dimensions", "rotated", "relabelled")
    )
    more = [a > b for a, b in zip(own, rotated, strict=True)]
    return Verdict(
        bool(np.mean(own) > 2 * np.mean(rotated) and max(relabelled) == 0),
        {
            "own": extent(own, ".0%"),
            "rotated": extent(rotated, ".0%"),
            "relabelled": extent(relabelled, ".0%"),
            "more": sum(more),
            "all": len(more),
        },
    )


def _own_step(published: PublishedOnset) -> Verdict:
    networks = published.generalised
    found = coupling(networks, SEEN, KNOWN)
    own = precedence(networks, SEEN, KNOWN)
    return Verdict(
        bool(found.p > LEVEL),
        {
            "correlation": found.correlation,
            "p": found.p,
            "own": own.before / max(own.before + own.same + own.after, 1),
            "other": mismatched_share(networks, SEEN, KNOWN),
        },
    )


CLAIMS = (
    Claim(
        "own-step",
        "The steps of curvature and accuracy are not tied to each other network by network.",
        "Rank correlation of the two over networks: {correlation:.2f} (p = {p:.2f} for pairing "
        "them at random). Doublets before half of the other pairs are right: {own:.0%} with the "
        "network’s own accuracy, {other:.0%} with that of another.",
        _own_step,
        seeds=10,
        null="the curvature of one network with the accuracy of another",
        refuted_by="further seeds with which the networks whose doublets come first generalise "
        "first.",
    ),
    Claim(
        "too-few-pairs",
        "Networks that do not generalise do not have the doublets.",
        "With too few pairs {right} of the other pairs are right at the end; {seen} of the key "
        "frequencies have two directions among the leading 40, against {found} with enough. A gap "
        "stands out at the end in {gaps} of {all}, and in {learnt} of {networks} with enough.",
        _too_few,
        seeds=3,
        null="none; these networks are the null of the others",
        refuted_by="a network that does not generalise with as many doublets as one that does.",
    ),
    Claim(
        "eigenvectors-not-any-basis",
        "It is the eigenvectors, not their span, that put the circuit above the gap.",
        "At the end {own} of the key frequencies have two directions in the span above the gap; "
        "as many vectors of a random basis of the same 40 have {rotated}, more of their own in "
        "{more} of {all} networks; with the residues relabelled {relabelled}.",
        _rotated,
        seeds=10,
        null="5 random bases of the span of the leading 40 eigenvectors; residues relabelled",
        refuted_by="further seeds in which random bases have half as many doublets above the gap.",
    ),
)
