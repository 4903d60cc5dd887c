"""Numbers of our routed and plain networks that stand beside what is reported of such."""

from __future__ import annotations

from collections.abc import Callable

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
    plateau,
)
from hdlib.training import OTHERS, steps_to

Array = NDArray[np.float64]
Ours = Callable[[PublishedLeastAction], ArrayLike]
Value = Callable[[TrainedNetwork], float]


def each(arm: Callable[[PublishedLeastAction], Arm], value: Value) -> Ours:
    """A number of each network of an arm, (seeds,)."""
    return lambda results: [value(network) for network in results.of(arm(results))]


def compared(value: Value) -> Ours:
    """A number of the plain transformers, and of the routed ones with as many parameters."""
    return lambda results: [value(network) for network in results.compared]


def ratio(
    above: Callable[[PublishedLeastAction], Arm], below: Callable[[PublishedLeastAction], Arm]
) -> Ours:
    """Steps until the other test pairs are known, of one arm over those of another, by seed."""
    return lambda results: (
        generalised_steps(results.of(above(results)))
        / generalised_steps(results.of(below(results)))
    )


def plain(results: PublishedLeastAction) -> Arm:
    """The plain transformers."""
    return results.grid.plain


def free(results: PublishedLeastAction) -> Arm:
    """The routed ones with as many parameters, without a regulariser."""
    return results.grid.matched


def pressed(results: PublishedLeastAction) -> Arm:
    """The same under pressure on the paths."""
    return results.grid.pressed


def reported(results: PublishedLeastAction) -> Arm:
    """The plain transformers of two layers, as the original sized them."""
    return results.grid.reported[0]


def named(name: str) -> Callable[[PublishedLeastAction], Arm]:
    """The arm of a name."""

    def found(results: PublishedLeastAction) -> Arm:
        (arm,) = [arm for arm in results.grid.arms if arm.name == name]
        return arm

    return found


def best(network: TrainedNetwork) -> float:
    """Best accuracy on all test pairs."""
    return float(np.nanmax(network.column("test_accuracy")))


def best_of_others(network: TrainedNetwork) -> float:
    """Best accuracy on the test pairs that memory cannot answer."""
    return float(np.nanmax(network.column(OTHERS)))


def while_waiting(network: TrainedNetwork) -> float:
    """Accuracy on all test pairs when those that memory can answer are known."""
    return float(network.column("test_accuracy")[plateau(network)])


def known_at(network: TrainedNetwork) -> float:
    """Step from which 95% of all test pairs are right; infinite where it is not reached."""
    step = steps_to(network.history, GENERALISED)
    return float("inf") if step is None else float(step)


def undecided(network: TrainedNetwork) -> float:
    """Entropy of the paths of the least decided layer at the end, over its largest value."""
    layers = range(network.config.n_layers)
    return max(network.last(f"routing_entropy_{i}") for i in layers) / np.log(
        network.config.n_heads
    )


def forgets(network: TrainedNetwork) -> float:
    """Least training accuracy of a logged row after all training pairs were known."""
    accuracy = network.column("train_accuracy")
    return float(accuracy[int(np.argmax(accuracy >= 1)) :].min())


def steadier(
    kept: Callable[[PublishedLeastAction], Arm], changed: Callable[[PublishedLeastAction], Arm]
) -> Ours:
    """That accuracy with a setting, less that without it, by seed."""

    def ours(results: PublishedLeastAction) -> Array:
        first, second = (
            np.array([forgets(network) for network in results.of(arm(results))])
            for arm in (kept, changed)
        )
        return first - second

    return ours


def generalised(results: PublishedLeastAction) -> list[TrainedNetwork]:
    """Those of the compared networks that know the other pairs at some step."""
    return [network for network in results.compared if network.generalised is not None]


def norm_before(results: PublishedLeastAction) -> list[float]:
    """Norm of all weights when the other pairs are known, over the first."""
    norms = [(n.column("norm/total"), n.generalised_row) for n in generalised(results)]
    return [float(norm[at] / norm[0]) for norm, at in norms]


def norm_after(results: PublishedLeastAction) -> list[float]:
    """The same at the end, over that when the other pairs are known."""
    norms = [(n.column("norm/total"), n.generalised_row) for n in generalised(results)]
    return [float(norm[-1] / norm[at]) for norm, at in norms]


def smoother(network: TrainedNetwork) -> float:
    """Share of low frequencies when the other pairs are known, less that after memorising."""
    share = network.column("low_frequency_share")
    memorised = int(np.argmax(network.column("train_accuracy") >= 0.98))
    return float(share[network.generalised_row] - share[memorised])


def flatter(results: PublishedLeastAction) -> Array:
    """Trace of the Hessian at the end, of transformers over that of the MLP of the same seed."""
    memorising = np.array([n.hessian_trace.values[-1] for n in results.of(results.grid.one_hot[0])])
    traces = np.array([n.hessian_trace.values[-1] for n in results.compared])
    return traces / np.tile(memorising, len(traces) // len(memorising))


def later_with_more(results: PublishedLeastAction) -> list[float]:
    """Rank correlation of the training fraction with the steps to the other pairs, by seed."""
    arms = sorted(
        [results.grid.plain, *results.grid.smaller], key=lambda arm: arm.configs[0].train_fraction
    )
    steps = np.array([generalised_steps(results.of(arm)) for arm in arms])
    return [
        float(np.corrcoef(np.arange(len(arms)), rankdata(of_seed))[0, 1]) for of_seed in steps.T
    ]


def size(model: str, width: int) -> Ours:
    """Parameters of a network at the modulus of its matched pair."""

    def ours(results: PublishedLeastAction) -> int:
        fields = {"model": model, "p": results.grid.reported_p, "width": width}
        network = LeastActionConfig.model_validate(fields).network()
        return sum(parameter.numel() for parameter in network.parameters())

    return ours
