"""Claims about what comes first: doublets among eigenvectors, the logits, or the accuracy."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.events import (
    DETACHED,
    FALLEN,
    FIRST,
    KNOWN,
    LEARNT,
    OUT,
    PROMINENT,
    RISEN,
    SEEN,
    Precedence,
    median_onset,
    precedence,
)
from hdlib.experiments.onset.results import PublishedOnset

LEVEL = 0.05


def _counts(found: Precedence) -> str:
    """How many key frequencies are before, at the same time and after, and what networks say."""
    return (
        f"{found.before} before, {found.same} at one checkpoint, {found.after} after, "
        f"{found.never} of these never ({found.networks[0]} networks to {found.networks[1]}, "
        f"p = {found.p:.3f})"
    )


def _steps(published: PublishedOnset, event: str) -> str:
    return extent([median_onset(network, event) for network in published.followed], ",.0f")


def _first(published: PublishedOnset) -> Verdict:
    found = precedence(published.followed, FIRST, KNOWN)
    share = [
        network.power[network.steps == median_onset(network, FIRST)].max(initial=0)
        for network in published.followed
    ]
    relabelled = [bool(n.seen("relabelled")[1:].any()) for n in published.followed]
    return Verdict(
        bool(found.networks[0] == len(published.followed) and found.p <= LEVEL),
        {
            "first": _steps(published, FIRST),
            "known": _steps(published, KNOWN),
            "networks": found.networks[0],
            "all": len(published.followed),
            "p": found.p,
            "share": extent(share, ".0%"),
            "relabelled": sum(relabelled),
        },
    )


def _all(published: PublishedOnset) -> Verdict:
    known, learnt = (precedence(published.followed, SEEN, e) for e in (KNOWN, LEARNT))
    return Verdict(
        bool(known.p > LEVEL),
        {
            "known": _counts(known),
            "learnt": _counts(learnt),
            "low": known.share[0],
            "high": known.share[1],
        },
    )


def _logits(published: PublishedOnset) -> Verdict:
    found = {e: precedence(published.followed, SEEN, e) for e in (PROMINENT, RISEN, FALLEN)}
    ahead, behind = found[PROMINENT].networks
    return Verdict(
        bool(ahead <= behind),
        {
            "prominent": _counts(found[PROMINENT]),
            "risen": _counts(found[RISEN]),
            "fallen": _counts(found[FALLEN]),
        },
    )


def _last(published: PublishedOnset) -> Verdict:
    known, learnt = (precedence(published.followed, OUT, e) for e in (KNOWN, LEARNT))
    doublets = precedence(published.followed, DETACHED, KNOWN)
    return Verdict(
        bool(known.networks[0] == 0 and known.p <= LEVEL and doublets.before == 0),
        {
            "out": _steps(published, OUT),
            "known": _steps(published, KNOWN),
            "learnt": _steps(published, LEARNT),
            "behind": learnt.networks[1],
            "all": len(published.followed),
            "p": known.p,
            "doublets": _counts(doublets),
        },
    )


CLAIMS = (
    Claim(
        "first-before-accuracy",
        "In every network the first frequency of its circuit is in the leading eigenvectors "
        "before the network knows half of the pairs that memory cannot answer.",
        "Two directions of some key frequency are among the 40 from step {first} on, half of the "
        "other pairs are right at step {known}; first in {networks} of {all} networks (sign test, "
        "p = {p:.3f}). The frequency has {share} of the logits then. With the residues relabelled "
        "a doublet is there after training has begun in {relabelled} networks.",
        _first,
        seeds=10,
        null="residues relabelled; either order as likely",
        refuted_by="a further seed in which half of the other pairs are right before any key "
        "frequency has two directions among the leading eigenvectors.",
    ),
    Claim(
        "not-all-before-accuracy",
        "Of all key frequencies curvature does not show most before the accuracy does.",
        "Doublets among the leading 40 against half of the other pairs right: {known}; before is "
        "{low:.0%} to {high:.0%} of them (95%, networks drawn again). Against 95% right: {learnt}.",
        _all,
        seeds=10,
        null="either order as likely, a sign for each network",
        refuted_by="further seeds with which the sign test over networks is decided.",
    ),
    Claim(
        "not-before-the-logits",
        "What curvature shows of a frequency the logits show as early.",
        "Doublets among the leading 40 against the step from which the frequency has more of the "
        "logits than any that is not key: {prominent}. Against half of its final share: {risen}. "
        "Against the restricted loss at half of its first value: {fallen}.",
        _logits,
        seeds=10,
        null="either order as likely, a sign for each network",
        refuted_by="further seeds, more of which have doublets before the logits than after.",
    ),
    Claim(
        "gap-comes-last",
        "The gap in the spectrum comes after the generalisation that it was to foretell.",
        "A gap below the rank of the head stands out from step {out} on; half of the other pairs "
        "are right at {known}, 95% at {learnt}. It is later than half of them in every network (p "
        "= {p:.3f}), and later than 95% in {behind} of {all}. Doublets in the span above the gap "
        "against half of the pairs: {doublets}.",
        _last,
        seeds=10,
        null="simulated spectra without a gap, searched over as many ranks; either order as likely",
        refuted_by="a further seed in which a gap stands out at two checkpoints in a row before "
        "half of the other pairs are right.",
    ),
)
