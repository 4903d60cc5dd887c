"""Claims about where sharpness stops."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.depth.results import Network, PublishedDepth

WARM = 2_000
"""Steps after which the second moment, of β₂ = 0.999, has forgotten how it began."""


def _over_ceiling(results: PublishedDepth) -> list[tuple[Network, np.ndarray]]:
    found = []
    for network in results.original("raw"):
        steps, values = network.measured("adam_eigenvalue")
        found.append((network, values[steps >= WARM] / results.ceiling))
    return found


def _adam(results: PublishedDepth) -> Verdict:
    late = _over_ceiling(results)
    medians = [float(np.median(values)) for _, values in late]
    within = np.mean(np.concatenate([(values > 0.5) & (values < 1.5) for _, values in late]))
    return Verdict(
        bool(min(medians) > 0.5 and max(medians) < 1.2 and within > 0.9),
        {
            "medians": extent(medians, ".2f"),
            "within": within,
            "ceiling": results.ceiling,
            "count": len(late),
        },
    )


ADAM_CEILING = Claim(
    name="adam-ceiling",
    says="Whatever its depth, a network trained by Adam on raw integers comes near the edge that "
    "Adam has.",
    evidence="Beyond step 2,000 the largest eigenvalue of the Hessian as Adam sees it is between "
    "0.5 and 1.5 times {ceiling:,.0f} at {within:.0%} of the logged steps of {count} networks on "
    "raw integers; the median over the steps of a network is {medians} times.",
    decide=_adam,
    seeds=3,
    null="the plain largest eigenvalue, which differs by orders of magnitude between depths",
    refuted_by="a depth whose networks stay far from it.",
)


SETTLING = 800
"""Steps after passing 2/η before a network counts as having settled."""
LAST = 10
"""Logged steps at the end of training over which sharpness is taken."""


def _over_edge(network: Network) -> tuple[float, float]:
    """First logged step with sharpness above 2/η (infinite: none); its last values over 2/η."""
    steps, values = network.measured("largest_eigenvalue")
    over = values * network.config.lr / 2
    above = np.flatnonzero(over > 1)
    return float(steps[above[0]]) if len(above) else np.inf, float(np.median(over[-LAST:]))


def _edge(results: PublishedDepth) -> Verdict:
    found = {(n.config.lr, n.config.depth, n.config.seed): _over_edge(n) for n in results.descent}
    shallow, deep = min(results.grid.descent_depths), max(results.grid.descent_depths)
    sooner = [
        found[lr, deep, seed][0] < found[lr, shallow, seed][0]
        for lr, depth, seed in found
        if depth == deep
    ]
    begun = results.grid.descent_steps - SETTLING
    crossed = [end for first, end in found.values() if first <= begun]

    def listed(depth: int) -> str:
        parts = []
        for lr in results.grid.descent_lrs:
            first, end = zip(*(found[lr, depth, seed] for seed in results.grid.seeds), strict=True)
            when = (
                f"from step {extent(first, ',.0f')}" if np.isfinite(first).all() else "not above it"
            )
            parts.append(f"η = {lr:g}: {when}, {extent(end, '.1f')}")
        return "; ".join(parts)

    return Verdict(
        bool(min(crossed) > 1.5 and all(sooner)),
        {
            "deep": deep,
            "shallow": shallow,
            "deeper": listed(deep),
            "shallower": listed(shallow),
            "ends": extent(crossed, ".1f"),
            "settling": SETTLING,
        },
    )


EDGE = Claim(
    name="edge-of-stability",
    says="Where sharpness passes 2/η under plain gradient descent it ends well above it, not just "
    "above; the deeper network passes it sooner.",
    evidence="Where it has passed 2/η at least {settling} steps before the end it ends at {ends} "
    "times that, the median of the last ten logged steps. With {deep} hidden layers, {deeper}; "
    "with {shallow}, {shallower}.",
    decide=_edge,
    seeds=3,
    null="2/η, above which a quadratic diverges",
    refuted_by="a network that passes 2/η and comes back to it, or a deeper one that is there "
    "later.",
)

CLAIMS = (ADAM_CEILING, EDGE)
