"""Claims about settings, tasks and other networks."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import each_arm, each_seed
from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    PublishedLeastAction,
    generalised_steps,
    mirrored_share,
)
from hdlib.training import MIRRORED, OTHERS


def _switches(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    plain = generalised_steps(results.of(grid.plain))
    cold = generalised_steps(results.of(grid.cold))
    kept = [generalised_steps(results.of(arm)) for arm in grid.switches if arm != grid.cold]
    spikes = [_spikes(results, arm) for arm in (grid.plain, *grid.switches)]
    return Verdict(
        bool((cold > plain).all() and all(np.median(steps) < np.median(cold) for steps in kept)),
        {
            "plain": each_seed(results, grid.plain),
            "each": each_arm(results, grid.switches),
            "spikes": "; ".join(
                f"{arm.name}: {extent(found, '.0f')}"
                for arm, found in zip((grid.plain, *grid.switches), spikes, strict=True)
            ),
        },
    )


def _collapses(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    plain, double, routed, pressed = (
        [float(n.column("collapsed_share").max()) for n in results.of(arm)]
        for arm in (grid.plain, grid.switches[-1], grid.matched, grid.pressed)
    )
    return Verdict(
        max(plain) < 0.01,
        {
            "plain": extent(plain, ".1%"),
            "double": extent(double, ".1%"),
            "routed": extent([*routed, *pressed], ".1%"),
            "steps": each_seed(results, grid.plain),
            "double_steps": each_seed(results, grid.switches[-1]),
        },
    )


COLLAPSES = Claim(
    name="softmax-holds",
    says="The softmax of the plain transformer does not collapse in single precision here: its "
    "loss stays too large for that.",
    evidence="In no logged row more than {plain} of the training pairs have collapsed, with the "
    "loss in double precision {double}; of the routed ones, in the longer run, up to {routed}. "
    "95% of the other test pairs are known at step {steps} in single precision, and "
    "{double_steps} in double: the difference is what rounding makes of an unstable training.",
    decide=_collapses,
    seeds=3,
    null="the loss in double precision, from the same seeds",
    refuted_by="a logged row with a hundredth of the training pairs collapsed.",
)


def _spikes(results: PublishedLeastAction, arm: Arm) -> list[int]:
    """Logged rows after memorising at which training pairs are forgotten again, by seed."""
    found = []
    for network in results.of(arm):
        accuracy = network.column("train_accuracy")
        known = int(np.argmax(accuracy >= 1))
        found.append(int((accuracy[known:] < 0.99).sum()) if accuracy.max() == 1 else 0)
    return found


SWITCHES = Claim(
    name="warm-up-matters",
    says="Of β₂, warm-up, clipping and the precision of the softmax it is warm-up that the plain "
    "transformer's generalising hangs on most: without it it comes later in every seed.",
    evidence="With the usual settings it knows 95% of the other test pairs at step {plain}; "
    "{each}. Logged rows at which it has forgotten training pairs that it knew: {spikes}.",
    decide=_switches,
    seeds=3,
    null="the usual settings, from the same seeds",
    refuted_by="a seed that is as soon without warm-up as with it, or another setting whose "
    "median step is as late.",
    replaces="the work this examines: β₂ = 0.98 is steadier than 0.999, warm-up removes blips, "
    "and clipping helps; its sweeps ran without the clipping that their files ask for.",
)


def _sweep(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    best = [float(np.nanmax(n.column(OTHERS))) for arm in grid.sweep for n in results.of(arm)]
    steps = np.concatenate([generalised_steps(results.of(arm)) for arm in grid.sweep])
    ends = [n.last(OTHERS) for arm in grid.sweep for n in results.of(arm)]
    reached = int(np.isfinite(steps).sum())
    return Verdict(
        reached < len(steps) / 2,
        {
            "reached": reached,
            "count": len(steps),
            "best": extent(best, ".0%"),
            "ends": extent(ends, ".0%"),
            "p": grid.sweep_p,
            "steps": grid.sweep_steps,
            "pairs": int(grid.train_fraction * grid.sweep_p**2),
        },
    )


SWEEP = Claim(
    name="small-moduli-do-not-settle",
    says="At p = {p}, with {pairs} pairs to train on, most transformers of the sweep do not come "
    "to 95% of the other test pairs within {steps:,} steps.",
    evidence="{reached} of {count} do. The largest accuracy on the other test pairs is {best}, "
    "that at the end {ends}.",
    decide=_sweep,
    seeds=3,
    null="the transformers at the larger modulus",
    refuted_by="half of the networks of the sweep that come to 95%.",
)


def _checks(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    steps = np.concatenate([generalised_steps(results.of(arm)) for arm in grid.validations])
    best = [
        extent((float(np.nanmax(n.column(OTHERS))) for n in results.of(arm)), ".0%")
        for arm in grid.validations
    ]
    return Verdict(
        not np.isfinite(steps).any(),
        {
            "each": each_arm(results, grid.validations),
            "best": "; ".join(
                f"{arm.name}: {found}" for arm, found in zip(grid.validations, best, strict=True)
            ),
            "steps": grid.validation_steps,
        },
    )


CHECKS = Claim(
    name="quick-checks-fail",
    says="The quick checks do not generalise within {steps:,} steps.",
    evidence="Steps until 95% of the other test pairs are known, by seed: {each}. Largest "
    "accuracy on them: {best}.",
    decide=_checks,
    seeds=3,
    null="none",
    refuted_by="a check that comes to 95% of the other test pairs.",
    replaces="the work this examines: the MLP generalises in 5,000 to 10,000 steps, and the "
    "transformer within 20,000.",
)


def _both(results: PublishedLeastAction) -> Verdict:
    (arm,) = results.grid.both
    networks = results.of(arm)
    mirrored, others = ([n.last(name) for n in networks] for name in (MIRRORED, OTHERS))
    share = [mirrored_share(n) for n in networks]
    return Verdict(
        min(mirrored) > 0.9 and max(others) < 0.2,
        {
            "all": extent((n.last("test_accuracy") for n in networks), ".0%"),
            "mirrored": extent(mirrored, ".0%"),
            "others": extent(others, ".0%"),
            "share": extent(share, ".0%"),
            "steps": results.grid.n_steps,
        },
    )


BOTH = Claim(
    name="both-operations-wait",
    says="On addition and multiplication together the plain transformer is still waiting after "
    "{steps:,} steps: what it gets right it remembers.",
    evidence="It gets {all} of the test pairs right, {mirrored} of the mirrored ones, which are "
    "{share} of all, and {others} of the others.",
    decide=_both,
    seeds=3,
    null="the share of test pairs that are mirrored",
    refuted_by="a seed that gets a fifth of the other test pairs right.",
    replaces="the work this examines: 82.7% for the plain transformer, and 17.6% to 25.4% for the "
    "routed one, in 30,000 steps at p = 113, without telling mirrored pairs apart.",
)


def _one_hot(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    ends = {
        arm.name: [float(np.nanmax(n.column(OTHERS))) for n in results.of(arm)]
        for arm in grid.one_hot
    }
    return Verdict(
        max(max(values) for values in ends.values()) < 0.5,
        {
            "each": "; ".join(f"{name}: {extent(found, '.1%')}" for name, found in ends.items()),
            "chance": 1 / grid.p,
            "steps": grid.n_steps,
        },
    )


ONE_HOT = Claim(
    name="one-hot",
    says="Without attention, on one-hot pairs, no network generalises in this setting, with a "
    "choice of paths or without.",
    evidence="Largest accuracy on the other test pairs in {steps:,} steps: {each}; chance is "
    "{chance:.1%}.",
    decide=_one_hot,
    seeds=3,
    null="the plain MLP, and the network of one head",
    refuted_by="a network on one-hot pairs that knows half of the other test pairs.",
)

CLAIMS = (SWITCHES, COLLAPSES, SWEEP, CHECKS, BOTH, ONE_HOT)
