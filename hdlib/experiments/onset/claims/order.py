"""Claims about what comes first: doublets among eigenvectors, the logits, or the accuracy."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.events import (
    FALLEN,
    FIRST,
    KNOWN,
    LASTING,
    LEARNT,
    PROMINENT,
    RISEN,
    SEEN,
    STAYS,
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


def settled(found: Precedence) -> str:
    """Which is first, as the sign test over networks has it."""
    if found.p > LEVEL:
        return "undecided which is first"
    return "before it" if found.networks[0] > found.networks[1] else "after it"


def steps_of(published: PublishedOnset, event: str) -> str:
    """The first and the last step at which a network has an event, in words."""
    found = [median_onset(network, event) for network in published.followed]
    return extent(found, ",.0f").replace("inf", "never")


def _first(published: PublishedOnset) -> Verdict:
    networks, few = published.followed, published.controls
    found, lasting = (precedence(networks, event, KNOWN) for event in (FIRST, LASTING))
    by_chance = [sum(np.isfinite(median_onset(of, e)) for of in few) for e in (FIRST, LASTING)]
    return Verdict(
        bool(
            found.networks[0] > found.networks[1]
            and lasting.networks[0] > lasting.networks[1]
            and max(found.p, lasting.p) <= LEVEL
        ),
        {
            "modulus": published.p,
            "lasting": steps_of(published, LASTING),
            "known": steps_of(published, KNOWN),
            "stays": lasting.networks[0],
            "all": len(networks),
            "p_stays": lasting.p,
            "few_stays": by_chance[1],
            "few": len(few),
            "first": found.networks[0],
            "p": found.p,
            "few_first": by_chance[0],
            "least": extent([network.least for network in networks], ".2f"),
        },
    )


def _rest(published: PublishedOnset) -> Verdict:
    networks = published.followed
    stays, seen = (precedence(networks, event, KNOWN) for event in (STAYS, SEEN))
    tied = coupling(networks, SEEN, KNOWN)
    return Verdict(
        bool(
            stays.networks[1] > stays.networks[0]
            and stays.p <= LEVEL
            and max(stays.before, seen.before) < min(stays.after, seen.after)
        ),
        {
            "seen": counted(seen),
            "own": seen.before / (seen.before + seen.same + seen.after),
            "low": seen.share[0],
            "high": seen.share[1],
            "other": mismatched_share(networks, SEEN, KNOWN),
            "correlation": tied.correlation,
            "p": tied.p,
            "learnt": counted(precedence(networks, SEEN, LEARNT)),
            "stays": counted(stays),
            "stay": stays.before,
            "of": stays.before + stays.same + stays.after,
            "ever": seen.before,
            "settled": settled(seen),
        },
    )


def _logits(published: PublishedOnset) -> Verdict:
    found = {e: precedence(published.followed, SEEN, e) for e in (PROMINENT, RISEN, FALLEN)}
    order = found[PROMINENT]
    return Verdict(
        bool(
            order.after > order.before
            and order.networks[1] > order.networks[0]
            and order.p <= LEVEL
        ),
        {
            "prominent": counted(order),
            "risen": counted(found[RISEN]),
            "settled": settled(found[RISEN]),
            "fallen": counted(found[FALLEN]),
            "stays": counted(precedence(published.followed, STAYS, PROMINENT)),
        },
    )


def _which(published: PublishedOnset) -> Verdict:
    networks = published.followed
    curvature, logits = (
        np.array(
            [network.standing(shares)[:2] for network, shares in zip(networks, of, strict=True)]
        )
        for of in (
            [network.shares.mean(1) for network in networks],
            [network.logit_power for network in networks],
        )
    )
    # The mean of n numbers from 0 to 1, each as likely.
    band = 1.96 * (12 * len(networks)) ** -0.5
    before, after = (np.array([curvature[:, t].mean(), logits[:, t].mean()]) for t in (0, 1))
    return Verdict(
        bool((np.abs(before - 0.5) < band).all() and (after > 0.5 + band).all()),
        {
            "step": int(networks[0].steps[1]),
            "curvature": before[0],
            "logits": before[1],
            "curvature_after": after[0],
            "logits_after": after[1],
            "low": 0.5 - band,
            "high": 0.5 + band,
        },
    )


CLAIMS = (
    Claim(
        "first-before-accuracy",
        "With p = {modulus} the first frequency of the circuit to stay among the leading "
        "eigenvectors is there before the network knows half of the pairs that memory cannot "
        "answer, in {stays} of {all} networks.",
        "A doublet that stays to the end is there from step {lasting} on, half of the other pairs "
        "are right at step {known} (sign test of which is first, p = {p_stays:.3f}); {few_stays} "
        "of {few} that do not generalise have one. That it must stay was added later. Without it "
        "the doublet is first in {first} (p = {p:.3f}), but {few_first} of {few} that do not "
        "generalise have one as well, by chance. Counted is a larger share than relabelled "
        "residues have at any checkpoint, {least}.",
        _first,
        seeds=10,
        null="networks that do not generalise; residues relabelled; either order as likely",
        refuted_by="further seeds, as many of which know half of the other pairs before any "
        "doublet stays.",
    ),
    Claim(
        "rest-comes-after",
        "Most of the circuit is not there to stay in the curvature before the accuracy: {stay} of "
        "{of} frequencies are. With what goes away again it is {ever}, and over networks "
        "{settled}.",
        "All that is ever seen, against half of the other pairs right: {seen}. Before are "
        "{own:.0%} ({low:.0%} to {high:.0%}, networks drawn again), and {other:.0%} if the "
        "accuracy is that of another network, though networks that are early in one are early in "
        "the other (rank correlation {correlation:.2f}, p = {p:.2f}). Against 95% right: {learnt}. "
        "Some of it is chance, as in networks that do not generalise; doublets that stay, added "
        "later, against half of the pairs: {stays}.",
        _rest,
        seeds=10,
        null="the accuracy of another network; either order as likely, a sign for each network",
        refuted_by="further seeds with which as many doublets that stay are before as after.",
    ),
    Claim(
        "logits-before-curvature",
        "Most frequencies are prominent in the logits before they are seen in the curvature; "
        "against half of their final share of the logits it is {settled}.",
        "Seen in the curvature, against more of the logits than any other frequency ever has: "
        "{prominent}. Against half of its own final share: {risen}. Against the restricted loss at "
        "half of its first value: {fallen}. Doublets that stay, against the first of these: "
        "{stays}.",
        _logits,
        seeds=10,
        null="either order as likely, a sign for each network",
        refuted_by="further seeds with which as many have the curvature first as the logits.",
    ),
    Claim(
        "which-frequency",
        "Before training neither curvature nor logits know which frequency the circuit will have "
        "most of; at the next checkpoint both do.",
        "Of the other frequencies, so many have less of the response to the leading eigenvectors "
        "than the one with most of the logits at the end: {curvature:.0%} before training, "
        "{curvature_after:.0%} at step {step}. Of the logits: {logits:.0%} and {logits_after:.0%} "
        "(means over networks; {low:.0%} to {high:.0%} by chance). This was added later.",
        _which,
        seeds=10,
        null="every frequency as likely",
        refuted_by="further seeds in which the curvature of the untrained network has most of that "
        "frequency.",
    ),
)
