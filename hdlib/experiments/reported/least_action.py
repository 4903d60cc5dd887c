"""Reported of routed and plain networks, and of what goes with generalising."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    GENERALISED,
    PublishedLeastAction,
    TrainedNetwork,
    generalised_steps,
    mirrored_share,
    plateau,
)
from hdlib.experiments.reported.record import ORIGINAL, Control, Reported
from hdlib.experiments.reported.rules import about, around, at_least, at_most
from hdlib.training import OTHERS, steps_to

Array = NDArray[np.float64]
Ours = Callable[[PublishedLeastAction], ArrayLike]
Value = Callable[[TrainedNetwork], float]

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


def _each(arm: Callable[[PublishedLeastAction], Arm], value: Value) -> Ours:
    """A number of each network of an arm, (seeds,)."""
    return lambda results: [value(network) for network in results.of(arm(results))]


def _compared(value: Value) -> Ours:
    """A number of the plain transformers, and of the routed ones with as many parameters."""
    return lambda results: [value(network) for network in results.compared]


def _ratio(
    above: Callable[[PublishedLeastAction], Arm], below: Callable[[PublishedLeastAction], Arm]
) -> Ours:
    """Steps until the other test pairs are known, of one arm over those of another, by seed."""
    return lambda results: (
        generalised_steps(results.of(above(results)))
        / generalised_steps(results.of(below(results)))
    )


def _plain(results: PublishedLeastAction) -> Arm:
    return results.grid.plain


def _free(results: PublishedLeastAction) -> Arm:
    return results.grid.matched


def _pressed(results: PublishedLeastAction) -> Arm:
    return results.grid.pressed


def _reported(results: PublishedLeastAction) -> Arm:
    return results.grid.reported[0]


def _named(name: str) -> Callable[[PublishedLeastAction], Arm]:
    """The arm of a name."""

    def found(results: PublishedLeastAction) -> Arm:
        (arm,) = [arm for arm in results.grid.arms if arm.name == name]
        return arm

    return found


def _best(network: TrainedNetwork) -> float:
    return float(np.nanmax(network.column("test_accuracy")))


def _best_of_others(network: TrainedNetwork) -> float:
    return float(np.nanmax(network.column(OTHERS)))


def _while_waiting(network: TrainedNetwork) -> float:
    return float(network.column("test_accuracy")[plateau(network)])


def _known_at(network: TrainedNetwork) -> float:
    """Step from which 95% of all test pairs are right; infinite where it is not reached."""
    step = steps_to(network.history, GENERALISED)
    return float("inf") if step is None else float(step)


def _undecided(network: TrainedNetwork) -> float:
    """Entropy of the paths of the least decided layer at the end, over its largest value."""
    layers = range(network.config.n_layers)
    return max(network.last(f"routing_entropy_{i}") for i in layers) / np.log(
        network.config.n_heads
    )


def _forgets(network: TrainedNetwork) -> float:
    """Least training accuracy of a logged row after all training pairs were known."""
    accuracy = network.column("train_accuracy")
    return float(accuracy[int(np.argmax(accuracy >= 1)) :].min())


def _steadier(
    kept: Callable[[PublishedLeastAction], Arm], changed: Callable[[PublishedLeastAction], Arm]
) -> Ours:
    """That accuracy with a setting, less that without it, by seed."""

    def ours(results: PublishedLeastAction) -> Array:
        first, second = (
            np.array([_forgets(network) for network in results.of(arm(results))])
            for arm in (kept, changed)
        )
        return first - second

    return ours


def _generalised(results: PublishedLeastAction) -> list[TrainedNetwork]:
    return [network for network in results.compared if network.generalised is not None]


def _norm_before(results: PublishedLeastAction) -> list[float]:
    """Norm of all weights when the other pairs are known, over the first."""
    norms = [(n.column("norm/total"), n.generalised_row) for n in _generalised(results)]
    return [float(norm[at] / norm[0]) for norm, at in norms]


def _norm_after(results: PublishedLeastAction) -> list[float]:
    norms = [(n.column("norm/total"), n.generalised_row) for n in _generalised(results)]
    return [float(norm[-1] / norm[at]) for norm, at in norms]


def _smoother(network: TrainedNetwork) -> float:
    """Share of low frequencies when the other pairs are known, less that after memorising."""
    share = network.column("low_frequency_share")
    memorised = int(np.argmax(network.column("train_accuracy") >= 0.98))
    return float(share[network.generalised_row] - share[memorised])


def _flatter(results: PublishedLeastAction) -> Array:
    """Trace of the Hessian at the end, of transformers over that of the MLP of the same seed."""
    memorising = np.array([n.hessian_trace.values[-1] for n in results.of(results.grid.one_hot[0])])
    traces = np.array([n.hessian_trace.values[-1] for n in results.compared])
    return traces / np.tile(memorising, len(traces) // len(memorising))


def _later_with_more(results: PublishedLeastAction) -> list[float]:
    """Rank correlation of the training fraction with the steps to the other pairs, by seed."""
    arms = sorted(
        [results.grid.plain, *results.grid.smaller], key=lambda arm: arm.configs[0].train_fraction
    )
    steps = np.array([generalised_steps(results.of(arm)) for arm in arms])
    return [
        float(np.corrcoef(np.arange(len(arms)), rankdata(of_seed))[0, 1]) for of_seed in steps.T
    ]


def _size(model: str, width: int) -> Ours:
    """Parameters of a network at the modulus of its matched pair."""

    def ours(results: PublishedLeastAction) -> int:
        fields = {"model": model, "p": results.grid.reported_p, "width": width}
        network = LeastActionConfig.model_validate(fields).network()
        return sum(parameter.numel() for parameter in network.parameters())

    return ours


def _apart(
    what: str,
    says: str,
    ours: Ours | None,
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
        (" without a regulariser", "no", _free, no, "sec-la-training"),
        (" with λ = 0.03", "no", _named("entropy 0.03"), no, "sec-la-doses"),
        (" with λ = 0.1", "yes", _pressed, yes, "sec-la-doses"),
    )
    return tuple(
        Reported(
            work=ORIGINAL,
            what=what.format(setting),
            says=says,
            ours=_each(arm, _best_of_others),
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
        ours=_each(_reported, _while_waiting),
        form=".0%",
        rule=about(STALL, margin=0.02),
        control=Control(
            "the share of test pairs whose mirror is a training pair",
            _each(_reported, mirrored_share),
        ),
        seeds=3,
        section="sec-la-waiting",
    ),
    *_answers(),
    _apart("the same with λ = 0.01 and 0.05", "no", None, "sec-la-doses", apart=NOT_TRAINED),
    _apart(
        "the same with λ = 0.1 on sparsity",
        "yes",
        _each(_named("sparsity 0.1"), _best_of_others),
        "sec-la-doses",
        form=".0%",
        apart="followed for a third of the steps that it took there",
    ),
    _apart(
        "step at which 95% of the test pairs are known, plain transformer",
        f"{PLAIN:,}",
        _each(_plain, _known_at),
        "sec-la-training",
        form=",.0f",
    ),
    _apart(
        "the same, routed, under pressure",
        f"{ROUTED:,}",
        _each(_pressed, _known_at),
        "sec-la-training",
        form=",.0f",
    ),
    Reported(
        work=ORIGINAL,
        what="the second over the first; ours: of the other test pairs, as many parameters",
        says=f"{ROUTED / PLAIN:.1f}",
        ours=_ratio(_pressed, _plain),
        form=".1f",
        rule=around(ROUTED / PLAIN, factor=2),
        seeds=3,
        section="sec-la-training",
    ),
    Reported(
        work=ORIGINAL,
        what="pressure on the paths speeds generalisation up; steps with it over those without",
        says="sooner",
        ours=_ratio(_pressed, _free),
        rule=at_most(1),
        seeds=3,
        section="sec-la-doses",
    ),
    Reported(
        work=ORIGINAL,
        what="gates that decay collapse; entropy of the least decided layer over its largest value",
        says="undecided",
        ours=_each(lambda results: results.grid.gates[0], _undecided),
        form=".3f",
        rule=at_least(0.9),
        seeds=3,
        section="sec-la-doses",
    ),
    _apart(
        "test accuracy on both operations, plain transformer",
        "82.7%",
        _each(lambda results: results.grid.both[0], lambda n: n.last("test_accuracy")),
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
        ours=_each(_reported, _best),
        form=".0%",
        rule=at_least(GENERALISED, ".0%"),
        seeds=3,
        section="sec-la-sweep",
    ),
    Reported(
        work=ORIGINAL,
        what="quick check, MLP at p = 17, generalises; ours: best test accuracy in 20,000 steps",
        says="in 5,000 to 10,000 steps",
        ours=_each(lambda results: results.grid.validations[1], _best),
        form=".0%",
        rule=at_least(GENERALISED, ".0%"),
        seeds=3,
        section="sec-la-sweep",
    ),
    Reported(
        work=ORIGINAL,
        what="quick check, transformer at p = 17: step at which it generalises",
        says=f"within {CHECK:,}",
        ours=_each(lambda results: results.grid.validations[2], _known_at),
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
            ours=_steadier(kept, changed),
            form="+.2f",
            rule=at_least(0),
            seeds=3,
            section="sec-la-optimizer",
        )
        for setting, kept, changed in (
            ("β₂ = 0.98 instead of 0.999", _plain, _named("β₂ 0.999")),
            ("warm-up", _plain, _named("no warm-up")),
            ("clipping", _named("clipped at 1"), _plain),
        )
    ),
    Reported(
        work=ORIGINAL,
        what="the weight norm grows before a network generalises; ours: by what factor",
        says="grows",
        ours=_norm_before,
        form=".2f",
        rule=at_least(1),
        control=Control("afterwards", _norm_after),
        seeds=3,
        section="sec-la-norms",
    ),
    Reported(
        work=ORIGINAL,
        what="spectral smoothness rises with generalisation; ours: change of the share of low "
        "frequencies from memorising on",
        says="rises",
        ours=_compared(_smoother),
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
        ours=_flatter,
        form=",.0f",
        rule=at_most(1),
        seeds=3,
        section="sec-la-landscape",
    ),
    Reported(
        work=ORIGINAL,
        what="smaller training sets generalise sooner; ours: rank correlation of size with steps",
        says="sooner",
        ours=_later_with_more,
        form="+.2f",
        rule=at_least(0),
        seeds=3,
        section="sec-la-waiting",
    ),
    _apart("depth adapts to p", "adapts", None, "sec-la-refute", apart=NOT_TRAINED),
    _apart(
        "squared input Jacobian, first",
        "1e+04",
        _compared(lambda n: float(n.input_jacobian.values[0])),
        "sec-la-sensitivity",
    ),
    _apart(
        "the same, after 10,000 steps",
        "1e+08",
        _compared(lambda n: float(n.input_jacobian.values[-1])),
        "sec-la-sensitivity",
    ),
    _apart(
        "trace of the input Hessian, at its lowest",
        "-2e+06",
        _compared(lambda n: float(n.input_hessian.values.min())),
        "sec-la-sensitivity",
    ),
    _apart(
        "trace of the weight Hessian, at its largest",
        "1.1e+06",
        _compared(lambda n: float(n.hessian_trace.values.max())),
        "sec-la-landscape",
    ),
    _apart(
        "trace of the Fisher matrix, at its largest",
        "3.3e+05",
        _compared(lambda n: float(n.fisher_trace.values.max())),
        "sec-la-landscape",
    ),
    _apart(
        "norm of the gradient, at its largest",
        "1e+02",
        _compared(lambda n: float(np.nanmax(n.column("gradient_norm")))),
        "sec-la-landscape",
    ),
    _apart(
        "the same, at its least",
        "1e-04",
        _compared(lambda n: float(np.nanmin(n.column("gradient_norm")))),
        "sec-la-landscape",
    ),
    *(
        Reported(
            work=ORIGINAL,
            what=f"parameters of a {name}, p = 113, two layers of width {width}",
            says=f"{SIZES[model]:,}",
            ours=_size(model, width),
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
        ours=_each(_plain, lambda n: float(n.column("collapsed_share").max())),
        form=".1%",
        rule=None,
        seeds=3,
        section="sec-la-optimizer",
        apart="all networks here have weight decay",
    ),
)
