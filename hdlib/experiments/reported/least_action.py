"""Reported of routed and plain networks, and of what goes with generalising."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdlib.experiments.least_action.results import (
    GENERALISED,
    PublishedLeastAction,
    mirrored_share,
)
from hdlib.experiments.reported import least_action_numbers as numbers
from hdlib.experiments.reported.record import ORIGINAL, Control, Reported
from hdlib.experiments.reported.rules import about, around, at_least, at_most

STALL = 0.29
"""Test accuracy at which routed networks are said to stall, with 30% of the pairs."""
PLAIN, ROUTED = 4_600, 17_800
"""Steps to 95% of the test pairs that are reported of both transformers."""
CHECK = 20_000
"""Steps within which the quick check of a transformer is said to generalise."""
SIZES = {"transformer": 440_000, "routed": 429_000}
"""Parameters that its files give for the two networks that it says are matched."""
SMALLER = "smaller networks, p and fewer steps here"
NOT_TRAINED = "not trained here"


def _apart(
    what: str,
    says: str,
    ours: numbers.Ours | None,
    section: str,
    *,
    form: str = ".0e",
    apart: str = SMALLER,
) -> Reported[PublishedLeastAction]:
    return Reported(
        work=ORIGINAL,
        what=what,
        says=says,
        ours=ours,
        form=form,
        rule=None,
        seeds=3 if ours else 0,
        section=section,
        apart=apart,
    )


def _answers() -> Sequence[Reported[PublishedLeastAction]]:
    """What it says of pressure on the paths: whether routed transformers generalise."""
    what = "routed transformer generalises{}; ours: best accuracy on the other test pairs"
    no, yes = at_most(GENERALISED, ".0%"), at_least(GENERALISED, ".0%")
    cases = (
        (" without a regulariser", "no", numbers.free, no, "sec-la-training"),
        (" with λ = 0.03", "no", numbers.named("entropy 0.03"), no, "sec-la-doses"),
        (" with λ = 0.1", "yes", numbers.pressed, yes, "sec-la-doses"),
    )
    return tuple(
        Reported(
            work=ORIGINAL,
            what=what.format(setting),
            says=says,
            ours=numbers.each(arm, numbers.best_of_others),
            form=".0%",
            rule=rule,
            seeds=3,
            section=section,
        )
        for setting, says, arm, rule, section in cases
    )


RECORDS: tuple[Reported[PublishedLeastAction], ...] = (
    Reported(
        work=ORIGINAL,
        what="test accuracy at which networks wait, 30% of the pairs; ours: the plain transformer "
        "at p = 113",
        says=f"about {STALL:.0%}",
        ours=numbers.each(numbers.reported, numbers.while_waiting),
        form=".0%",
        rule=about(STALL, margin=0.02),
        control=Control(
            "the share of test pairs whose mirror is a training pair",
            numbers.each(numbers.reported, mirrored_share),
        ),
        seeds=3,
        section="sec-la-waiting",
    ),
    *_answers(),
    _apart("the same with λ = 0.01 and 0.05", "no", None, "sec-la-doses", apart=NOT_TRAINED),
    _apart(
        "the same with λ = 0.1 on sparsity",
        "yes",
        numbers.each(numbers.named("sparsity 0.1"), numbers.best_of_others),
        "sec-la-doses",
        form=".0%",
        apart="followed for a third of the steps that it took there",
    ),
    _apart(
        "step at which 95% of the test pairs are known, plain transformer",
        f"{PLAIN:,}",
        numbers.each(numbers.plain, numbers.known_at),
        "sec-la-training",
        form=",.0f",
    ),
    _apart(
        "the same, routed, under pressure",
        f"{ROUTED:,}",
        numbers.each(numbers.pressed, numbers.known_at),
        "sec-la-training",
        form=",.0f",
    ),
    Reported(
        work=ORIGINAL,
        what="the second over the first; ours: of the other test pairs, as many parameters",
        says=f"{ROUTED / PLAIN:.1f}",
        ours=numbers.ratio(numbers.pressed, numbers.plain),
        form=".1f",
        rule=around(ROUTED / PLAIN, factor=2),
        seeds=3,
        section="sec-la-training",
    ),
    Reported(
        work=ORIGINAL,
        what="pressure on the paths speeds generalisation up; steps with it over those without",
        says="sooner",
        ours=numbers.ratio(numbers.pressed, numbers.free),
        rule=at_most(1),
        seeds=3,
        section="sec-la-doses",
    ),
    Reported(
        work=ORIGINAL,
        what="gates that decay collapse; entropy of the least decided layer over its largest value",
        says="undecided",
        ours=numbers.each(lambda results: results.grid.gates[0], numbers.undecided),
        form=".3f",
        rule=at_least(0.9),
        seeds=3,
        section="sec-la-doses",
    ),
    _apart(
        "test accuracy on both operations, plain transformer",
        "82.7%",
        numbers.each(lambda results: results.grid.both[0], lambda n: n.last("test_accuracy")),
        "sec-la-both",
        form=".0%",
    ),
    _apart(
        "the same, routed: best, and at the end",
        "25.4%, 17.6%",
        None,
        "sec-la-both",
        apart=NOT_TRAINED,
    ),
    Reported(
        work=ORIGINAL,
        what="a plain transformer of two layers at p = 113 generalises; ours: best test accuracy "
        "within 5,000 steps",
        says="at step 3,400",
        ours=numbers.each(numbers.reported, numbers.best),
        form=".0%",
        rule=at_least(GENERALISED, ".0%"),
        seeds=3,
        section="sec-la-sweep",
    ),
    Reported(
        work=ORIGINAL,
        what="quick check, MLP at p = 17, generalises; ours: best test accuracy in 20,000 steps",
        says="in 5,000 to 10,000 steps",
        ours=numbers.each(lambda results: results.grid.validations[1], numbers.best),
        form=".0%",
        rule=at_least(GENERALISED, ".0%"),
        seeds=3,
        section="sec-la-sweep",
    ),
    Reported(
        work=ORIGINAL,
        what="quick check, transformer at p = 17: step at which it generalises",
        says=f"within {CHECK:,}",
        ours=numbers.each(lambda results: results.grid.validations[2], numbers.known_at),
        form=",.0f",
        rule=at_most(CHECK, ","),
        seeds=3,
        section="sec-la-sweep",
    ),
    *(
        Reported(
            work=ORIGINAL,
            what=f"{setting}; ours: least training accuracy after memorising, with it less without",
            says="steadier",
            ours=numbers.steadier(kept, changed),
            form="+.2f",
            rule=at_least(0),
            seeds=3,
            section="sec-la-optimizer",
        )
        for setting, kept, changed in (
            ("β₂ = 0.98 instead of 0.999", numbers.plain, numbers.named("β₂ 0.999")),
            ("warm-up", numbers.plain, numbers.named("no warm-up")),
            ("clipping", numbers.named("clipped at 1"), numbers.plain),
        )
    ),
    Reported(
        work=ORIGINAL,
        what="the weight norm grows before a network generalises; ours: by what factor",
        says="grows",
        ours=numbers.norm_before,
        form=".2f",
        rule=at_least(1),
        control=Control("afterwards", numbers.norm_after),
        seeds=3,
        section="sec-la-norms",
    ),
    Reported(
        work=ORIGINAL,
        what="spectral smoothness rises with generalisation; ours: change of the share of low "
        "frequencies from memorising on",
        says="rises",
        ours=numbers.compared(numbers.smoother),
        form="+.2f",
        rule=at_least(0),
        seeds=3,
        section="sec-la-function",
    ),
    Reported(
        work=ORIGINAL,
        what="a lower Hessian trace goes with generalisation; ours: transformers that generalise "
        "over an MLP that does not",
        says="lower",
        ours=numbers.flatter,
        form=",.0f",
        rule=at_most(1),
        seeds=3,
        section="sec-la-landscape",
    ),
    Reported(
        work=ORIGINAL,
        what="smaller training sets generalise sooner; ours: rank correlation of size with steps",
        says="sooner",
        ours=numbers.later_with_more,
        form="+.2f",
        rule=at_least(0),
        seeds=3,
        section="sec-la-waiting",
    ),
    _apart("depth adapts to p", "adapts", None, "sec-la-refute", apart=NOT_TRAINED),
    _apart(
        "squared input Jacobian, first",
        "1e+04",
        numbers.compared(lambda n: float(n.input_jacobian.values[0])),
        "sec-la-sensitivity",
    ),
    _apart(
        "the same, after 10,000 steps",
        "1e+08",
        numbers.compared(lambda n: float(n.input_jacobian.values[-1])),
        "sec-la-sensitivity",
    ),
    _apart(
        "trace of the input Hessian, at its lowest",
        "-2e+06",
        numbers.compared(lambda n: float(n.input_hessian.values.min())),
        "sec-la-sensitivity",
    ),
    _apart(
        "trace of the weight Hessian, at its largest",
        "1.1e+06",
        numbers.compared(lambda n: float(n.hessian_trace.values.max())),
        "sec-la-landscape",
    ),
    _apart(
        "trace of the Fisher matrix, at its largest",
        "3.3e+05",
        numbers.compared(lambda n: float(n.fisher_trace.values.max())),
        "sec-la-landscape",
    ),
    _apart(
        "norm of the gradient, at its largest",
        "1e+02",
        numbers.compared(lambda n: float(np.nanmax(n.column("gradient_norm")))),
        "sec-la-landscape",
    ),
    _apart(
        "the same, at its least",
        "1e-04",
        numbers.compared(lambda n: float(np.nanmin(n.column("gradient_norm")))),
        "sec-la-landscape",
    ),
    *(
        Reported(
            work=ORIGINAL,
            what=f"parameters of a {name}, p = 113, two layers of width {width}",
            says=f"{SIZES[model]:,}",
            ours=numbers.size(model, width),
            form=",.0f",
            rule=around(SIZES[model], factor=1.05),
            seeds=0,
            section="sec-la-networks",
        )
        for model, name, width in (
            ("transformer", "plain transformer", 128),
            ("routed", "routed network on one-hot pairs", 74),
        )
    ),
    Reported(
        work="@prieto2025grokking",
        what="the softmax collapses in single precision, and learning ends; ours: largest share "
        "of collapsed training pairs, plain transformer",
        says="without regularisation",
        ours=numbers.each(numbers.plain, lambda n: float(n.column("collapsed_share").max())),
        form=".1%",
        rule=None,
        seeds=3,
        section="sec-la-optimizer",
        apart="all networks here have weight decay",
    ),
)
