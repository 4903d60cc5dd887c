"""Claims about networks that choose their path, beside the plain transformer."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import (
    count_of,
    each,
    each_arm,
    each_seed,
    more_by_chance,
    within,
)
from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    ENTROPY,
    PublishedLeastAction,
    TrainedNetwork,
    generalised_steps,
)


def _slower(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    plain, routed, pressed = (
        generalised_steps(results.of(arm)) for arm in (grid.plain, grid.matched, grid.pressed)
    )
    sizes = [results.of(arm)[0].n_parameters for arm in (grid.plain, grid.matched)]
    return Verdict(
        bool(plain.max() < min(routed.min(), pressed.min())),
        {
            "plain": each_seed(results, grid.plain),
            "routed": each_seed(results, grid.matched),
            "pressed": each_seed(results, grid.pressed),
            "sizes": f"{sizes[0]:,} and {sizes[1]:,}",
        },
    )


SLOWER = Claim(
    name="routing-is-slower",
    says="With as many parameters, the same causal mask and the same start, the routed "
    "transformer generalises later than the plain one in every seed.",
    evidence="95% of the other test pairs are known at step {plain} by the plain one, and by the "
    "routed one at {routed} with free paths and at {pressed} under pressure, seed by seed. They "
    "have {sizes} parameters.",
    decide=_slower,
    seeds=3,
    null="the plain transformer from the same seeds, on the same splits",
    refuted_by="a seed in which a routed transformer is there before the last of the plain ones.",
    replaces="the work this examines: 95% at step 4,600 for the plain transformer and 17,800 for "
    "the routed one, at p = 113 and with four layers; the routed one had another mask, another "
    "start and three times the parameters.",
)


def _narrow(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    plain, routed = (generalised_steps(results.of(arm)) for arm in (grid.plain, grid.matched))
    narrow = [generalised_steps(results.of(arm)) for arm in grid.narrow]
    return Verdict(
        bool(all(np.median(steps) > plain.max() for steps in narrow)),
        {
            "plain": each_seed(results, grid.plain),
            "narrow": each_arm(results, grid.narrow),
            "routed": each_seed(results, grid.matched),
            "share": extent((np.median(steps) / np.median(routed) for steps in narrow), ".0%"),
        },
    )


NARROW = Claim(
    name="narrow-is-late",
    says="Width matters as well as paths: where routed and plain have as many parameters, the "
    "routed feed-forward networks are narrower, and narrow plain transformers are late, too.",
    evidence="Steps until 95% of the other test pairs are known, by seed: {narrow}, against "
    "{plain} at full width and {routed} for the routed one with free paths. Their medians are "
    "{share} of that one's.",
    decide=_narrow,
    seeds=3,
    null="the plain transformer at full width",
    refuted_by="a narrow plain transformer whose median is not above the last of the wide ones.",
)


def _unpressed(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free, pressed = (generalised_steps(results.of(arm)) for arm in (grid.matched, grid.pressed))
    return Verdict(
        bool(np.isfinite(free).all()),
        {
            "free": extent(free, ",.0f"),
            "pressed": extent(pressed, ",.0f"),
            "sooner": int((pressed < free).sum()),
            "seeds": len(free),
            "factor": grid.lambda_routing,
        },
    )


UNPRESSED = Claim(
    name="no-pressure-needed",
    says="A routed transformer generalises without any pressure on its paths.",
    evidence="With free paths 95% of the other test pairs are known at step {free}; with λ = "
    "{factor:g} on their entropy at {pressed}, sooner in {sooner} of {seeds} seeds.",
    decide=_unpressed,
    seeds=3,
    null="the same networks under pressure",
    refuted_by="a routed transformer with free paths that does not generalise within the steps.",
    replaces="the work this examines: without a regulariser it stalls, at about 29%. What stalls "
    "is waiting: that share of the test pairs can be right from memory.",
)


def _doses(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    arms = {"no penalty": grid.matched} | {arm.name: arm for arm in grid.dosed}
    reached = {name: within(results, arm, grid.dosed_steps) for name, arm in arms.items()}
    free = generalised_steps(results.of(grid.matched))
    much, little = (
        np.concatenate([generalised_steps(results.of(arm)) for arm in some]) <= grid.dosed_steps
        for some in (grid.hard_pressed, [grid.matched, *grid.lightly_pressed])
    )
    return Verdict(
        bool(min(reached.values()) > 0 and np.isfinite(free).all()),
        {
            "factor": grid.lambda_routing,
            "much": count_of(much),
            "little": count_of(little),
            "p": more_by_chance(much, little),
            "reached": "; ".join(f"{name}: {count}" for name, count in reached.items()),
            "seeds": len(free),
            "free": each_seed(results, grid.matched),
            "each": each_arm(results, grid.dosed),
            "steps": grid.dosed_steps,
            "longer": grid.routed_steps,
            "entropies": "; ".join(
                f"{name}: {extent(_entropies(results, arm), '.2f')}" for name, arm in arms.items()
            ),
        },
    )


def _entropies(results: PublishedLeastAction, arm: Arm) -> list[float]:
    """Of the paths at the last step that all doses were followed to, over their largest value."""
    steps = results.grid.dosed_steps
    return [n.at(steps, ENTROPY) for n in results.of(arm)]


DOSES = Claim(
    name="no-threshold",
    says="There is no factor of the penalty below which no routed transformer generalises: within "
    "{steps:,} steps some seed does with each, and with none; without any, all do within "
    "{longer:,}.",
    evidence="So many of {seeds} seeds know 95% of the other test pairs within {steps:,} steps: "
    "{reached}. So pressure helps by degrees: with λ = {factor:g} and more on the entropy {much} "
    "do, with less or none {little} (p = {p:.2g}, Fisher's exact test, one-sided, as if networks "
    "of one seed were independent). The steps, by seed: without, {free}; {each}. Entropy of the "
    "paths at step {steps:,}, over its largest value: {entropies}.",
    decide=_doses,
    seeds=3,
    null="no penalty, at the same number of steps",
    refuted_by="a factor, or none, with which no seed generalises within the first number of "
    "steps, or a seed without a penalty that does not within the second.",
    replaces="the work this examines: λ of 0.01 to 0.05 do not generalise, 0.1 does. And here, at "
    "first: as many seeds generalise without a penalty as with one, which had been followed for "
    "longer; and then, with two factors tried: that more do with the larger one may be luck.",
)


def _even(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free, even = grid.again
    return _evenness(
        results.of(grid.matched) + results.of(free),
        results.of(grid.consistent) + results.of(even),
        {
            "factor": grid.lambda_routing,
            "more": len(grid.more_seeds),
            "units": grid.narrow[-1].configs[0].ffn_width,
            "plain": each_seed(results, grid.narrow[-1]),
        },
    )


def _evenness(
    free: list[TrainedNetwork], even: list[TrainedNetwork], values: dict[str, object]
) -> Verdict:
    """Whether networks are sooner than others from the same seeds, and their paths more even."""
    steps = [generalised_steps(networks) for networks in (free, even)]
    entropies = [
        [n.column(ENTROPY)[n.generalised_row] for n in networks] for networks in (free, even)
    ]
    return Verdict(
        bool((steps[1] < steps[0]).all() and min(entropies[1]) > max(entropies[0])),
        values
        | {
            "even": each(steps[1]),
            "free": each(steps[0]),
            "even_entropy": extent(entropies[1], ".2f"),
            "free_entropy": extent(entropies[0], ".2f"),
        },
    )


EVEN = Claim(
    name="even-paths-are-sooner",
    says="Paths need not be decisive: pressed to be alike for similar pairs they stay nearly even, "
    "and the network generalises sooner than with free paths in every seed.",
    evidence="With λ = {factor:g} on the inconsistency of the paths 95% of the other test pairs "
    "are known at step {even}, with free paths at {free}, seed by seed; the last {more} seeds were "
    "trained when this had been said of the first. The entropy of the paths is then {even_entropy} "
    "of its largest value, and {free_entropy} with free ones. With even paths a layer is nearly a "
    "plain feed-forward network of all {units} hidden units; the plain transformer with as many "
    "is there at {plain}, from the first seeds.",
    decide=_even,
    seeds=6,
    null="free paths from the same seeds",
    refuted_by="a seed in which it is later than with free paths, or its paths as decided.",
)


def _a_little(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free, even = results.of(grid.matched), results.of(grid.less_consistent)
    return _evenness(free, even, {"factor": grid.lambda_weaker})


A_LITTLE = Claim(
    name="a-little-is-enough",
    says="Less pressure to be alike does the same: paths stay more even than free ones, and the "
    "network generalises sooner in every seed.",
    evidence="With λ = {factor:g} 95% of the other test pairs are known at step {even}, with free "
    "paths at {free}, seed by seed; the entropy of the paths is then {even_entropy} of its "
    "largest value, and {free_entropy} with free ones.",
    decide=_a_little,
    seeds=3,
    null="free paths from the same seeds",
    refuted_by="a seed in which it is later than with free paths, or its paths as decided.",
)


def _confounds(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free = [arm for arm in grid.confounds if arm.configs[0].routing_regularizer == "none"]
    steps = [generalised_steps(results.of(arm)) for arm in (*free, grid.plain)]
    medians = [float(np.median(s)) for s in steps]
    return Verdict(
        bool(min(medians[:-1]) > medians[-1]),
        {
            "steps": grid.n_steps,
            "each": each_arm(results, [*free, grid.plain]),
        },
    )


CONFOUNDS = Claim(
    name="one-difference-each",
    says="Neither the mask nor the initial weights nor the number of parameters makes up for the "
    "gates: with each difference removed the routed transformer is still later than the plain one.",
    evidence="Steps until 95% of the other test pairs are known, by seed: {each}. The first "
    "three, with full-size feed-forward networks, were followed for {steps:,} steps.",
    decide=_confounds,
    seeds=3,
    null="the plain transformer",
    refuted_by="a row whose median is not above that of the plain transformer.",
)


CLAIMS = (SLOWER, NARROW, UNPRESSED, EVEN, A_LITTLE, CONFOUNDS, DOSES)
