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
NEARLY_ALL = 0.9
"""Share of the paths from which a layer sends nearly all pairs to one head."""


def _gates(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    kept, decayed = (results.of(arm) for arm in (grid.pressed, grid.gates[0]))
    layers = [_by_layer(networks, grid.dosed_steps) for networks in (kept, decayed)]
    norms = [_gate_norms(networks, grid.dosed_steps) for networks in (kept, decayed)]
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


def _by_layer(networks: list[TrainedNetwork], step: int) -> np.ndarray:
    """Entropy of the paths at a step over its largest value, (seeds, layers)."""
    return np.array(
        [
            [n.at(step, f"routing_entropy_{i}") / np.log(n.config.n_heads) for i in _layers(n)]
            for n in networks
        ]
    )


def _gate_norms(networks: list[TrainedNetwork], step: int) -> np.ndarray:
    """Norm of the last layer of each gate at a step, (seeds, layers)."""
    return np.array(
        [[n.at(step, f"norm/blocks.{i}.gate.choice") for i in _layers(n)] for n in networks]
    )


def _layers(network: TrainedNetwork) -> range:
    return range(network.config.n_layers)


GATES = Claim(
    name="gates-may-decay",
    says="Weight decay on the gates makes them smaller, not undecided.",
    evidence="At step {steps:,} the norm of a gate's last layer is {kept_norms} under pressure "
    "where gates are not decayed, and {decayed_norms} where they are, over layers and seeds; the "
    "entropy of the paths is {kept_entropy} and {decayed_entropy} of its largest value. By then "
    "95% of the other test pairs are known at step {kept}, and {decayed}: what decay does to "
    "generalising is not told.",
    decide=_gates,
    seeds=3,
    null="the same networks, their gates not decayed",
    refuted_by="a layer whose paths are undecided where gates decay.",
    replaces="the work this examines: gates must not decay, or they collapse.",
)


def _decides(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    free, pressed = (
        _by_layer(results.of(arm), grid.routed_steps) for arm in (grid.matched, grid.pressed)
    )
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
    grid = results.grid
    pressed = [n for arm in (*grid.hard_pressed, grid.uneven) for n in results.of(arm)]
    generalised = [n for n in pressed if n.generalised is not None]
    then = np.array([most_used(n, n.generalised_row) for n in generalised])
    end = np.array([most_used(n, -1) for n in pressed])
    free = np.array([most_used(n, -1) for n in results.of(grid.matched)])
    others = {
        arm.name: [most_used(n, n.generalised_row) for n in results.of(arm) if n.generalised]
        for arm in grid.dosed
        if arm not in grid.hard_pressed
    }
    return Verdict(
        bool(len(then) and then.min() > NEARLY_ALL > free.max()),
        {
            "factor": grid.lambda_routing,
            "then": extent(then.ravel(), ".0%"),
            "end": extent(end.ravel(), ".0%"),
            "free": extent(free.ravel(), ".0%"),
            "generalised": len(generalised),
            "count": len(pressed),
            "others": "; ".join(
                f"{name}: {' and '.join(f'{share:.0%}' for share in shares)}"
                for name, networks in others.items()
                for shares in networks
            )
            or "none generalises",
        },
    )


def most_used(network: TrainedNetwork, row: int) -> list[float]:
    """Mean weight of the head that has most of it, in a row of the history, by layer."""
    heads = range(network.config.n_heads)
    return [
        float(max(network.column(f"head_use_{i}_{j}")[row] for j in heads))
        for i in _layers(network)
    ]


GIVES_UP = Claim(
    name="pressure-ends-routing",
    says="Under enough pressure on the entropy of its paths, or on how even they are, the routed "
    "transformer gives up its choice: when it generalises, each layer sends nearly all pairs to "
    "one head.",
    evidence="With λ = {factor:g} or more on the entropy, or as much on the Gini coefficient, "
    "{generalised} of {count} networks generalise. The head that is used most then has {then} of "
    "all weight, over layers and networks, and {end} at the end; with free paths {free} at the "
    "end. So what generalises is nearly a plain transformer with one narrow feed-forward network a "
    "layer. Less pressure, or that on sparsity, does not end the routing: of what generalises "
    "there the most used heads have, layer by layer, {others}.",
    decide=_gives_up,
    seeds=3,
    null="free paths",
    refuted_by="a network under this pressure that generalises while a layer sends a tenth of the "
    "pairs to other heads.",
    replaces="the work this examines: the penalty makes paths decisive, and decisive paths "
    "generalise. And here, at first: so it is under any pressure; and then: under no penalty but "
    "that on the entropy, before another was tried.",
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
