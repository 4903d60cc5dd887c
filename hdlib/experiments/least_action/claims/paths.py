"""Claims about the paths that routed networks choose."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import each_seed
from hdlib.experiments.least_action.results import (
    PublishedLeastAction,
    TrainedNetwork,
)
from hdlib.measures import frequency_shares, pair_power

DECIDED = 0.2
"""Entropy of the paths over its largest value below which a gate has decided."""
COLLAPSED = 0.5
"""Entropy of the mean path over its largest value below which a layer hardly uses its heads."""


def _gates(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    kept, decayed = (results.of(arm) for arm in (grid.pressed, grid.gates[0]))
    layers = [_by_layer(networks) for networks in (kept, decayed)]
    norms = [_gate_norms(networks) for networks in (kept, decayed)]
    return Verdict(
        bool(layers[1].max() < DECIDED and norms[1].max() < norms[0].min()),
        {
            "kept": each_seed(results, grid.pressed),
            "decayed": each_seed(results, grid.gates[0]),
            "steps": grid.dosed_steps,
            "kept_entropy": extent(layers[0].ravel(), ".3f"),
            "decayed_entropy": extent(layers[1].ravel(), ".3f"),
            "kept_norms": extent(norms[0].ravel(), ".2g"),
            "decayed_norms": extent(norms[1].ravel(), ".2g"),
        },
    )


def _by_layer(networks: list[TrainedNetwork]) -> np.ndarray:
    """Entropy of the paths at the end over its largest value, (seeds, layers)."""
    return np.array(
        [
            [n.last(f"routing_entropy_{i}") / np.log(n.config.n_heads) for i in _layers(n)]
            for n in networks
        ]
    )


def _gate_norms(networks: list[TrainedNetwork]) -> np.ndarray:
    """Norm of the last layer of each gate at the end, (seeds, layers)."""
    return np.array(
        [[n.last(f"norm/blocks.{i}.gate.choice") for i in _layers(n)] for n in networks]
    )


def _layers(network: TrainedNetwork) -> range:
    return range(network.config.n_layers)


GATES = Claim(
    name="gates-may-decay",
    says="Weight decay on the gates makes them smaller, not undecided.",
    evidence="At the end the norm of a gate's last layer is {kept_norms} under pressure where "
    "gates are not decayed, and {decayed_norms} where they are, over layers and seeds; the "
    "entropy of the paths is {kept_entropy} and {decayed_entropy} of its largest value. 95% of "
    "the other test pairs are known at step {kept}, and, in {steps:,} steps, at {decayed}.",
    decide=_gates,
    seeds=3,
    null="the same networks, their gates not decayed",
    refuted_by="a layer whose paths are undecided where gates decay.",
    replaces="the work this examines: gates must not decay, or they collapse.",
)


def _decides(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free, pressed = (_by_layer(results.of(arm)) for arm in (grid.matched, grid.pressed))
    marginal = np.array(
        [
            [n.last(f"marginal_entropy_{i}") / np.log(n.config.n_heads) for i in _layers(n)]
            for n in results.of(grid.pressed)
        ]
    )
    return Verdict(
        bool(pressed.max() < free.min()),
        {
            "free": extent(free.ravel(), ".2f"),
            "pressed": extent(pressed.ravel(), ".2f"),
            "marginal": extent(marginal.ravel(), ".2f"),
            "collapsed": int((marginal < 0.1).sum()),
            "count": marginal.size,
        },
    )


DECIDES = Claim(
    name="pressure-decides",
    says="Pressure makes every layer's paths more decided than any layer's are without it.",
    evidence="The entropy of the paths at the end is {free} of its largest value with free paths "
    "and {pressed} under pressure, over layers and seeds; that of the mean path is {marginal} "
    "under pressure, so that {collapsed} of {count} layers have collapsed to one head.",
    decide=_decides,
    seeds=3,
    null="free paths",
    refuted_by="a layer under pressure that is less decided than one without.",
)


def _gives_up(results: PublishedLeastAction) -> Verdict:
    pressed = results.of(results.grid.pressed)
    generalised = [n for n in pressed if n.generalised is not None]
    then = np.array([_marginal(n, n.generalised_row) for n in generalised])
    end = np.array([_marginal(n, -1) for n in pressed])
    free = np.array([_marginal(n, -1) for n in results.of(results.grid.matched)])
    return Verdict(
        bool(len(then) and then.max() < COLLAPSED and free.min() > COLLAPSED),
        {
            "then": extent(then.ravel(), ".2f"),
            "end": extent(end.ravel(), ".2f"),
            "free": extent(free.ravel(), ".2f"),
            "generalised": len(generalised),
            "count": len(pressed),
        },
    )


def _marginal(network: TrainedNetwork, row: int) -> list[float]:
    """Entropy of the mean path over its largest value in a row of the history, by layer."""
    heads = np.log(network.config.n_heads)
    return [float(network.column(f"marginal_entropy_{i}")[row] / heads) for i in _layers(network)]


GIVES_UP = Claim(
    name="pressure-ends-routing",
    says="Under pressure the routed transformer gives up its choice: when it generalises, each "
    "layer sends nearly all pairs to one head.",
    evidence="Of {count} networks under pressure {generalised} generalise. The entropy of the "
    "mean path is then {then} of its largest value, over layers, and {end} at the end of all; "
    "with free paths it is {free} at the end. What generalises is a plain transformer of one "
    "narrow head.",
    decide=_gives_up,
    seeds=3,
    null="free paths",
    refuted_by="a network under pressure that generalises while a layer uses several heads.",
    replaces="the work this examines: the penalty makes paths decisive, and decisive paths "
    "generalise.",
)


def _by_the_sum(results: PublishedLeastAction) -> Verdict:
    networks = results.of(results.grid.matched)
    found = np.array([_sum_shares(network)[-1] for network in networks])
    first = np.array([_sum_shares(network)[0] for network in networks])
    return Verdict(
        bool(found[:, -1].min() > 0.9 and first.max() < 0.1),
        {
            "last": extent(found[:, -1], ".1%"),
            "first_layer": extent(found[:, 0], ".0%"),
            "before": extent(first.ravel(), ".1%"),
        },
    )


def _sum_shares(network: TrainedNetwork) -> list[list[float]]:
    """How much of the weights is a function of a + b: by checkpoint with a map, and layer."""
    p = network.config.p
    return [
        [
            frequency_shares(pair_power(layer.astype(np.float64).reshape(p, p, -1))).sum
            for layer in maps["routing"]
        ]
        for maps in network.maps.values()
    ]


BY_THE_SUM = Claim(
    name="paths-by-the-sum",
    says="Where paths are free, the last layer chooses them by the answer: its weights are a "
    "function of a + b.",
    evidence="Of the variation of the last layer's weights over all pairs {last} is a function of "
    "the sum at the end, of the first layer's {first_layer}; before training {before} is.",
    decide=_by_the_sum,
    seeds=3,
    null="the same networks before training",
    refuted_by="a seed in which a tenth of the variation is something else.",
)

CLAIMS = (GATES, DECIDES, GIVES_UP, BY_THE_SUM)
