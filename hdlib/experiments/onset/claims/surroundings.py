"""Claims about what surrounds the networks: their local learning coefficients."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.claims.order import LEVEL, steps_of
from hdlib.experiments.onset.events import (
    FALLEN,
    FLATTER,
    KNOWN,
    precedence,
    sign_test,
)
from hdlib.experiments.onset.results import OnsetResults


def _falls(results: OnsetResults) -> Verdict:
    found, few = (
        [network.coefficients for network in group]
        for group in (results.followed, results.controls)
    )
    kept, few_kept = ([mean[-1] / mean.max() for mean in group] for group in (found, few))
    ends, few_ends = ([mean[-1] for mean in group] for group in (found, few))
    known, fallen = (precedence(results.followed, FLATTER, event) for event in (KNOWN, FALLEN))
    few_steps = [network.flatter for network in results.controls]
    return Verdict(
        bool(np.isfinite(few_steps).all() and max(ends) < min(few_ends)),
        {
            "p": results.p,
            "largest": extent([mean.max() for mean in found], ",.0f"),
            "kept": extent(kept, ".1%"),
            "few_kept": extent(few_kept, ".0%"),
            "ends": extent(ends, ".1f"),
            "few_ends": extent(few_ends, ".1f"),
            "few": len(few),
            "steps": steps_of(results, FLATTER),
            "few_steps": extent(few_steps, ",.0f"),
            "known": steps_of(results, KNOWN),
            "ahead": known.networks[0],
            "behind": known.networks[1],
            "p_known": known.p,
            "fallen": steps_of(results, FALLEN),
            "before_fallen": fallen.networks[0],
            "after_fallen": fallen.networks[1],
        },
    )


FALLS = Claim(
    name="coefficient-falls-in-all",
    says="With p = {p} the local learning coefficient falls once the training pairs are known, "
    "whether or not the network generalises, so that its fall foretells nothing; how far it falls "
    "tells: it ends lower in every network that generalises than in any that does not.",
    evidence="From {largest} at its largest it comes to {ends} at the end, {kept} of that, and to "
    "{few_ends} in {few} networks with too few pairs, {few_kept}. From step {steps} on it is at "
    "most half of its largest, and from {few_steps} on in those that never generalise. Half of the "
    "other pairs are right at {known}: the coefficient is first in {ahead} networks and second in "
    "{behind} (p = {p_known:.3f}), which without these would look like a sign. Against half of the "
    "first restricted loss, at {fallen}, it is first in {before_fallen} and second in "
    "{after_fallen}.",
    decide=_falls,
    seeds=10,
    null="networks that do not generalise; either order as likely",
    refuted_by="further seeds that do not generalise and keep more than half of it, or end as low.",
    replaces="it was expected to stay high where networks only memorise, as late in the longer "
    "runs of the grokking chapter it is level. Most of its fall is before that, and theirs too. "
    "All of this was worded from networks with p = 113.",
)


def _flat(results: OnsetResults) -> Verdict:
    found = [(n.halfway("frequencies"), n.halfway("others")) for n in results.followed]
    lower = [network.keys_flatter for network in results.followed]
    ahead = sum(own.mean() < other.mean() for own, other in found)
    p = sign_test(ahead, len(found) - ahead)
    return Verdict(
        bool(ahead > len(found) / 2 and p <= LEVEL),
        {
            "p": results.p,
            "ahead": ahead,
            "all": len(found),
            "p_sign": p,
            "ratio": extent([own.mean() / other.mean() for own, other in found], ".2f"),
            "lower": extent(lower, ".0%"),
        },
    )


FLAT = Claim(
    name="flat-along-the-circuit-again",
    says="Where half of the other pairs are right the loss surrounds the network more flatly along "
    "the frequencies of its circuit than along others, in {ahead} of {all} networks.",
    evidence="λ̂ of the weights of one frequency, all others held: the mean over key frequencies "
    "is {ratio} of that over as many others (sign test over networks, p = {p_sign:.3f}); {lower} "
    "of all pairs of a key frequency and another have the key one lower. p = {p}.",
    decide=_flat,
    seeds=10,
    null="as many frequencies that are no key ones, drawn at random; either order as likely",
    refuted_by="further seeds in which key frequencies have as much.",
    replaces="seen in the run of the grokking chapter, and said of one seed; then asked of ten "
    "with p = 113, and of these last.",
)

CLAIMS = (FALLS, FLAT)
