"""Claims about networks that choose their path, beside the plain transformer."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import each_arm, each_seed
from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    PublishedLeastAction,
    TrainedNetwork,
    generalised_steps,
)
from hdlib.measures import frequency_shares, pair_power

DECIDED = 0.2
"""Entropy of the paths over its largest value below which a gate has decided."""
COLLAPSED = 0.5
"""Entropy of the mean path over its largest value below which a layer hardly uses its heads."""


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
    "is waiting (see waiting-is-memory).",
)


def _doses(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    arms = [grid.matched, *grid.dosed]
    steps = [generalised_steps(results.of(arm)) for arm in arms]
    reached = [int(np.isfinite(s).sum()) for s in steps]
    return Verdict(
        reached[0] >= max(reached[1:]),
        {
            "free": each_seed(results, grid.matched),
            "each": each_arm(results, grid.dosed),
            "steps": grid.dosed_steps,
            "entropies": "; ".join(
                f"{arm.name if i else 'no penalty'}: {extent(_entropies(results, arm), '.2f')}"
                for i, arm in enumerate(arms)
            ),
        },
    )


def _entropies(results: PublishedLeastAction, arm: Arm) -> list[float]:
    return [n.last("normalised_routing_entropy") for n in results.of(arm)]


DOSES = Claim(
    name="no-threshold",
    says="There is no factor of the penalty below which the routed transformer does not "
    "generalise: without any, as many seeds do as with one.",
    evidence="Steps until 95% of the other test pairs are known, by seed: without, {free}; "
    "{each}. Entropy of the paths at the end, over its largest value: {entropies}.",
    decide=_doses,
    seeds=3,
    null="no penalty",
    refuted_by="a penalty with which more seeds generalise within the steps than without.",
    replaces="the work this examines: λ of 0.01 to 0.05 do not generalise, 0.1 does.",
)


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
    then = np.array([_marginal(n, _row(n)) for n in generalised])
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


def _row(network: TrainedNetwork) -> int:
    """Row of the history at which a network generalised."""
    return int(np.argmax(network.history["step"] == network.generalised))


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

CLAIMS = (SLOWER, NARROW, UNPRESSED, CONFOUNDS, DOSES, GATES, DECIDES, GIVES_UP, BY_THE_SUM)
