"""Claims about what is remembered and what is understood."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import each_seed
from hdlib.experiments.least_action.results import (
    PublishedLeastAction,
    generalised_steps,
    mirrored_share,
    plateau,
)
from hdlib.training import MIRRORED, OTHERS


def _waiting(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    rows = []
    for arm in (grid.smaller[0], grid.matched, grid.pressed):
        for network in results.of(arm):
            at = plateau(network)
            right, mirrored, others = (
                float(network.column(name)[at]) for name in ("test_accuracy", MIRRORED, OTHERS)
            )
            rows.append((right, mirrored, others, mirrored_share(network)))
    right, mirrored, others, share = np.array(rows).T
    n = len(grid.seeds)
    return Verdict(
        bool((share * mirrored > 2 * (1 - share) * others).all()),
        {
            "small": extent(right[:n], ".0%"),
            "small_share": extent(share[:n], ".0%"),
            "small_others": extent(others[:n], ".1%"),
            "half": extent(right[n:], ".0%"),
            "half_share": extent(share[n:], ".0%"),
            "half_others": extent(others[n:], ".0%"),
            "fraction": grid.fractions[0],
        },
    )


WAITING = Claim(
    name="waiting-is-memory",
    says="Where networks wait before they generalise, most of what they get right of the test "
    "pairs are those whose mirror they were trained on.",
    evidence="With {fraction:.0%} of the pairs the plain transformer gets {small} of the test "
    "pairs right, of which {small_share} are mirrored, and {small_others} of the others; with "
    "half of the pairs the routed one {half} at the step where 95% of the mirrored ones are "
    "right, of which there are {half_share}, and {half_others} of the others.",
    decide=_waiting,
    seeds=3,
    null="the share of test pairs that are mirrored",
    refuted_by="a network that waits while a third of what it gets right are other test pairs.",
    replaces="the work this examines: part of the task, “about 29%”, is learned without a "
    "regulariser, with 30% of the pairs.",
)


def _fractions(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    arms = sorted([grid.plain, *grid.smaller], key=lambda arm: arm.configs[0].train_fraction)
    steps = np.array([generalised_steps(results.of(arm)) for arm in arms])
    medians = np.median(steps, axis=1)
    return Verdict(
        bool((medians[1:] <= medians[:-1]).all()),
        {
            "steps": grid.n_steps,
            "each": "; ".join(
                f"{arm.configs[0].train_fraction:.0%}: {each_seed(results, arm)}" for arm in arms
            ),
        },
    )


FRACTIONS = Claim(
    name="more-pairs-sooner",
    says="The more pairs a network is trained on, the sooner it generalises, or at all within "
    "{steps:,} steps.",
    evidence="Steps until 95% of the other test pairs are known, by training fraction and seed: "
    "{each}.",
    decide=_fractions,
    seeds=3,
    null="the other fractions",
    refuted_by="a smaller fraction whose median step is before that of a larger one.",
    replaces="the work this examines: smaller training sets generalise sooner; its own runs say "
    "the contrary.",
)


def _unordered(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    plain, routed = (generalised_steps(results.of(arm)) for arm in grid.unordered)
    return Verdict(
        bool(np.isfinite(plain).all() and plain.max() < routed.min()),
        {
            "steps": each_seed(results, grid.unordered[0]),
            "routed": each_seed(results, grid.unordered[1]),
            "longest": grid.dosed_steps,
            "ordered": each_seed(results, grid.plain),
            "routed_ordered": each_seed(results, grid.matched),
            "fraction": grid.unordered_fraction,
        },
    )


UNORDERED = Claim(
    name="without-mirrors",
    says="Where no test pair has a mirror to remember, the plain transformer generalises as well, "
    "and sooner than the routed one in every seed.",
    evidence="With {fraction:.0%} of the unordered pairs, about as many as half of the ordered "
    "ones hold, 95% of the test pairs are known at step {steps} by the plain one, and at {routed} "
    "by the routed one with as many parameters, followed for {longest:,} steps; with half of the "
    "ordered pairs 95% of the other test pairs are at {ordered}, and {routed_ordered}.",
    decide=_unordered,
    seeds=3,
    null="the split by ordered pairs",
    refuted_by="a seed with which the plain transformer does not generalise with the split by "
    "unordered pairs, or a routed one that is there before the last of the plain ones.",
)

CLAIMS = (WAITING, FRACTIONS, UNORDERED)
