"""Claims about what comes first: doublets among eigenvectors, the logits, or the accuracy."""

from __future__ import annotations

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.events import (
    FALLEN,
    FIRST,
    KNOWN,
    LEARNT,
    PROMINENT,
    RISEN,
    SEEN,
    Precedence,
    coupling,
    median_onset,
    mismatched_share,
    precedence,
)
from hdlib.experiments.onset.results import PublishedOnset

LEVEL = 0.05


def counted(found: Precedence) -> str:
    """How many key frequencies are before, at the same time and after, and what networks say."""
    return (
        f"{found.before} before, {found.same} at one checkpoint, {found.after} after, "
        f"{found.never} of these never (networks {found.networks[0]} to {found.networks[1]}, "
        f"p = {found.p:.3f})"
    )


def steps_of(published: PublishedOnset, event: str) -> str:
    """The first and the last step at which a network has an event, in words."""
    found = [median_onset(network, event) for network in published.followed]
    return extent(found, ",.0f").replace("inf", "never")


def _first(published: PublishedOnset) -> Verdict:
    networks = published.followed
    found = precedence(networks, FIRST, KNOWN)
    return Verdict(
        bool(found.networks[0] > found.networks[1] and found.p <= LEVEL),
        {
            "first": steps_of(published, FIRST),
            "known": steps_of(published, KNOWN),
            "ahead": found.networks[0],
            "all": len(networks),
            "p": found.p,
            "least": extent([network.least for network in networks], ".2f"),
            "most": extent([float(network.second().max()) for network in networks], ".2f"),
        },
    )


def _few(published: PublishedOnset) -> Verdict:
    networks = published.followed
    known, learnt = (precedence(networks, SEEN, event) for event in (KNOWN, LEARNT))
    tied = coupling(networks, SEEN, KNOWN)
    total = known.before + known.same + known.after
    return Verdict(
        bool(known.before < total / 2),
        {
            "known": counted(known),
            "learnt": counted(learnt),
            "own": known.before / total,
            "low": known.share[0],
            "high": known.share[1],
            "other": mismatched_share(networks, SEEN, KNOWN),
            "correlation": tied.correlation,
            "p": tied.p,
        },
    )


def _logits(published: PublishedOnset) -> Verdict:
    found = {e: precedence(published.followed, SEEN, e) for e in (PROMINENT, RISEN, FALLEN)}
    ahead, behind = found[PROMINENT].networks
    return Verdict(
        bool(ahead <= behind),
        {
            "prominent": counted(found[PROMINENT]),
            "risen": counted(found[RISEN]),
            "fallen": counted(found[FALLEN]),
        },
    )


CLAIMS = (
    Claim(
        "first-before-accuracy",
        "The first frequency of the circuit is among the leading eigenvectors before the network "
        "knows half of the pairs that memory cannot answer.",
        "Two directions of some key frequency are there from step {first} on, half of the other "
        "pairs are right at step {known}; the doublet is first in {ahead} of {all} networks (sign "
        "test, p = {p:.3f}). Seen is what has a larger share than relabelled residues have at any "
        "checkpoint, {least}; in the end it is up to {most}.",
        _first,
        seeds=10,
        null="residues relabelled; either order as likely",
        refuted_by="further seeds, as many of which know half of the other pairs before any key "
        "frequency is seen.",
    ),
    Claim(
        "most-not-before-accuracy",
        "Most frequencies of the circuit are not seen in the curvature before the accuracy.",
        "Against half of the other pairs right: {known}. Before are {own:.0%} ({low:.0%} to "
        "{high:.0%}, networks drawn again), and {other:.0%} if the accuracy is that of another "
        "network; the rank correlation of the two steps over networks is {correlation:.2f} (p = "
        "{p:.2f}). Against 95% right: {learnt}.",
        _few,
        seeds=10,
        null="the accuracy of another network; either order as likely, a sign for each network",
        refuted_by="further seeds with which more than half are seen before.",
    ),
    Claim(
        "not-before-the-logits",
        "The logits show a frequency no later than the curvature does.",
        "Seen in the curvature, against more of the logits than any other frequency ever has: "
        "{prominent}. Against half of its own final share: {risen}. Against the restricted loss at "
        "half of its first value: {fallen}.",
        _logits,
        seeds=10,
        null="either order as likely, a sign for each network",
        refuted_by="further seeds, more of which have the curvature first than the logits.",
    ),
)
