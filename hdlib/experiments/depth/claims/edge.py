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
    says="Whatever its depth, a network trained by Adam comes to the edge that Adam has.",
    evidence="Beyond step 2,000 the largest eigenvalue of the Hessian as Adam sees it is between "
    "0.5 and 1.5 times {ceiling:,.0f} at {within:.0%} of the logged steps of {count} networks on "
    "raw integers; the median over the steps of a network is {medians} times.",
    decide=_adam,
    seeds=3,
    null="the plain largest eigenvalue, which differs by orders of magnitude between depths",
    refuted_by="a depth whose networks stay far from it.",
)


def _settled(network: Network) -> float:
    """Median sharpness over 2/η, over the last half of training."""
    steps, values = network.measured("largest_eigenvalue")
    return float(np.median(values[steps >= steps[-1] / 2])) * network.config.lr / 2


def _edge(results: PublishedDepth) -> Verdict:
    settled = {
        (n.config.depth, n.config.lr): []
        for n in sorted(results.descent, key=lambda n: (n.config.depth, n.config.lr))
    }
    for network in results.descent:
        settled[network.config.depth, network.config.lr].append(_settled(network))
    deepest = max(depth for depth, _ in settled)
    above = [values for (depth, _), values in settled.items() if depth == deepest]
    return Verdict(
        bool(min(min(values) for values in above) > 1),
        {
            "listed": "; ".join(
                f"depth {depth}, η = {lr:g}: {extent(values, '.2f')}"
                for (depth, lr), values in settled.items()
            ),
        },
    )


EDGE = Claim(
    name="edge-of-stability",
    says="Under plain gradient descent the deeper networks come to 2/η and stay above it.",
    evidence="Median sharpness over the last half of training, in units of 2/η: {listed}.",
    decide=_edge,
    seeds=3,
    null="2/η, above which a quadratic diverges",
    refuted_by="a learning rate at which the sharpness of the deeper networks stays below 2/η.",
)

CLAIMS = (ADAM_CEILING, EDGE)
