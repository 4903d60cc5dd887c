"""Reported of sharpness against depth, and of the edge of stability."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.experiments.depth.config import DepthConfig
from hdlib.experiments.depth.results import Network, PublishedDepth, by_depth
from hdlib.experiments.depth.tables import QUOTED_ACCURACY, QUOTED_FIRST, QUOTED_LAST
from hdlib.experiments.reported.record import ORIGINAL, Control, Reported
from hdlib.experiments.reported.rules import about, around, at_least, at_most, between

Array = NDArray[np.float64]
Ours = Callable[[PublishedDepth], ArrayLike]

QUOTED_TRAIN_LOSS = (1.74, 0.34, 0.22, 0.15, 0.20)
"""Training losses at the end of the original's files, depth 1 to 5."""
QUOTED_TEST_LOSS = {2: (4.9, 72.8), 3: (5.2, 93.8)}
"""Its least test losses and those at the end, by depth."""
QUOTED_PARAMETERS = -3_615
"""By its formula, of one hidden layer."""
LAST_LOGGED = 9_000
"""The step of ours that is nearest to its last eigenvalue, after 9,001 updates."""
SPREAD = 2.0
"""A factor by which seeds of one setting differ easily."""
POINTS = 0.02
LEARNT = 0.9
"""Test accuracy from which the original says that a network generalises."""
DEEP = 4
"""Hidden layers from which it calls a network deep."""
WARM = 2_000
"""Steps after which Adam's second moments have forgotten how they began."""


def _of_depth(depth: int, value: Callable[[Network], float]) -> Ours:
    """A number of the networks with so many hidden layers on raw integers, (seeds,)."""

    def ours(results: PublishedDepth) -> Array:
        depths, values = by_depth(results.original("raw"), value)
        return values[depths.tolist().index(depth)]

    return ours


def _of_depths(value: Callable[[Network], float], wanted: Callable[[int], bool]) -> Ours:
    """The same of several depths, in one row."""
    return lambda results: [
        value(network) for network in results.original("raw") if wanted(network.config.depth)
    ]


def _first(network: Network) -> float:
    return float(network.measured("largest_eigenvalue")[1][0])


def _late(network: Network) -> float:
    steps, values = network.measured("largest_eigenvalue")
    return float(values[steps.tolist().index(LAST_LOGGED)])


def _last(network: Network) -> float:
    return float(network.measured("largest_eigenvalue")[1][-1])


def _best(network: Network) -> float:
    return float(network.history["test_accuracy"].max())


def _rises(value: Callable[[Network], float]) -> Ours:
    """By seed, in how many of the steps from one depth to the next a number rises: their share."""

    def ours(results: PublishedDepth) -> Array:
        _, values = by_depth(results.original("raw"), value)
        return (np.diff(values, axis=0) > 0).mean(0)

    return ours


def _by_depths(
    what: str, quoted: Sequence[float], value: Callable[[Network], float], form: str
) -> tuple[Reported[PublishedDepth], ...]:
    """One record a depth, from one hidden layer on."""
    return tuple(
        Reported(
            work=ORIGINAL,
            what=f"{what}, depth {depth}",
            says=f"{number:.1%}" if "%" in form else f"{number:,g}",
            ours=_of_depth(depth, value),
            form=form,
            rule=about(number, margin=POINTS) if "%" in form else around(number, factor=SPREAD),
            seeds=3,
            section="sec-depth-original",
        )
        for depth, number in enumerate(quoted, 1)
    )


def _test_losses(depth: int) -> tuple[Reported[PublishedDepth], ...]:
    least, end = QUOTED_TEST_LOSS[depth]
    found: tuple[tuple[str, float, Callable[[Network], float]], ...] = (
        ("least test loss", least, lambda n: float(n.history["test_loss"].min())),
        ("test loss at the end", end, lambda n: float(n.history["test_loss"][-1])),
    )
    return tuple(
        Reported(
            work=ORIGINAL,
            what=f"{what}, depth {depth}",
            says=f"{number:g}",
            ours=_of_depth(depth, value),
            form=".3g",
            rule=around(number, factor=SPREAD),
            seeds=3,
            section="sec-depth-original",
        )
        for what, number, value in found
    )


def _over_adams_edge(results: PublishedDepth) -> list[float]:
    """Median over the late steps of a network of Adam's sharpness over its edge."""
    found = []
    for network in results.original("raw"):
        steps, values = network.measured("adam_eigenvalue")
        found.append(float(np.median(values[steps >= WARM]) / results.ceiling))
    return found


def _over_edge(results: PublishedDepth) -> list[float]:
    """Median over the second half of training of sharpness over 2/η, where it was above by then."""
    found = []
    for network in results.descent:
        steps, values = network.measured("largest_eigenvalue")
        over, half = values * network.config.lr / 2, steps >= network.config.n_steps / 2
        if (over[~half] > 1).any():
            found.append(float(np.median(over[half])))
    return found


def _gradient(results: PublishedDepth) -> list[float]:
    """Median over the late checkpoints of a network of the gradient's share in the top space."""
    followed = [n for n in results.original("raw") if len(n.spectrum_steps) > results.grid.few]
    return [float(np.median(n.gradient_share[n.spectrum_steps >= WARM])) for n in followed]


RECORDS: tuple[Reported[PublishedDepth], ...] = (
    Reported(
        work=ORIGINAL,
        what="parameters of one hidden layer, by its formula",
        says=f"{QUOTED_PARAMETERS:,}",
        ours=lambda results: (
            DepthConfig(p=results.grid.p, width=results.grid.width, depth=1).n_parameters
        ),
        form=",.0f",
        rule=about(QUOTED_PARAMETERS),
        seeds=0,
        section="sec-depth-networks",
    ),
    *_by_depths("largest eigenvalue, first one logged", QUOTED_FIRST, _first, ",.0f"),
    *_by_depths("largest eigenvalue after 9,001 updates", QUOTED_LAST, _late, ",.0f"),
    *_by_depths("best test accuracy", QUOTED_ACCURACY, _best, ".1%"),
    *_by_depths(
        "training loss at the end",
        QUOTED_TRAIN_LOSS,
        lambda network: float(network.history["train_loss"][-1]),
        ".2f",
    ),
    *_test_losses(2),
    *_test_losses(3),
    Reported(
        work=ORIGINAL,
        what="ten largest eigenvalues, at every depth; ours: the largest, first and last logged",
        says="0, or missing",
        ours=lambda results: [f(n) for n in results.original("raw") for f in (_first, _last)],
        form=",.0f",
        rule=None,
        known="the loss that it differentiates does not depend on the weights",
        seeds=3,
        section="sec-depth-exact",
    ),
    Reported(
        work=ORIGINAL,
        what="the largest eigenvalue increases with depth; share of the steps from one depth to "
        "the next at which ours does, before training",
        says="increases",
        ours=_rises(_first),
        form=".0%",
        rule=at_least(1, ".0%"),
        seeds=3,
        section="sec-depth-original",
    ),
    Reported(
        work=ORIGINAL,
        what="the same at the end of training",
        says="increases",
        ours=_rises(_last),
        form=".0%",
        rule=at_least(1, ".0%"),
        seeds=3,
        section="sec-depth-original",
    ),
    Reported(
        work=ORIGINAL,
        what="depth 2 and 3 go from memorising to generalising; best test accuracy",
        says="a clear transition",
        ours=_of_depths(_best, lambda depth: depth in (2, 3)),
        form=".1%",
        rule=at_least(LEARNT, ".0%"),
        seeds=3,
        section="sec-depth-original",
    ),
    Reported(
        work=ORIGINAL,
        what="only depth 2 reaches a high test accuracy; best of depth 2",
        says="consistently",
        ours=_of_depths(_best, lambda depth: depth == 2),
        form=".1%",
        rule=at_least(LEARNT, ".0%"),
        seeds=3,
        section="sec-depth-original",
    ),
    Reported(
        work=ORIGINAL,
        what="deep networks do not generalise; best test accuracy from depth 4 on",
        says="high curvature without generalising",
        ours=_of_depths(_best, lambda depth: depth >= DEEP),
        form=".1%",
        rule=at_most(1 - LEARNT, ".0%"),
        control=Control(
            "of shallower ones", _of_depths(_best, lambda depth: depth < DEEP), due=False
        ),
        seeds=3,
        section="sec-depth-original",
    ),
    Reported(
        work="@cohen2021edge",
        what="sharpness over 2/η under gradient descent, once it has passed it",
        says="at 1, or just above",
        ours=_over_edge,
        rule=between(0.75, 1.25),
        seeds=3,
        section="sec-depth-edge",
    ),
    Reported(
        work="@cohen2022adaptive",
        what="sharpness as Adam sees it over 38/η, full batch, late in training",
        says="1",
        ours=_over_adams_edge,
        rule=between(0.5, 2),
        seeds=3,
        section="sec-depth-edge",
    ),
    Reported(
        work="@gurari2018gradient",
        what="share of the gradient in the leading eigenvectors; ours: fewer than "
        "there are classes, median over late checkpoints at each depth",
        says="most",
        ours=_gradient,
        form=".0%",
        rule=at_least(0.5, ".0%"),
        seeds=1,
        section="sec-depth-spectra",
    ),
)
