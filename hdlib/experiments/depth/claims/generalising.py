"""Claims about the setting in which networks generalise."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.depth.results import PublishedDepth


def _shallow(results: PublishedDepth) -> Verdict:
    networks = results.generalising
    reached = {
        depth: [n.steps_to(0.95) for n in networks if n.config.depth == depth]
        for depth in results.grid.generalising_depths
    }
    found = all(step is not None for steps in reached.values() for step in steps)
    listed = "; ".join(
        f"{extent([s for s in steps if s is not None] or [np.nan], ',')} with {depth}"
        for depth, steps in reached.items()
    )
    return Verdict(found, {"listed": listed, "count": len(networks)})


SHALLOW = Claim(
    name="shallow-networks-generalise",
    says="With one-hot pairs, half of them to train on, and weight decay, networks of one, two "
    "and three hidden layers all generalise, though no test pair is the mirror of a training pair.",
    evidence="95% of the test pairs are right at step {listed} hidden layers, in {count} networks.",
    decide=_shallow,
    seeds=3,
    null="none",
    refuted_by="a network of these that does not.",
)


def _through(results: PublishedDepth) -> Verdict:
    peaks, ends, before = [], [], []
    for network in results.generalising:
        steps, values = network.measured("largest_eigenvalue")
        reached = network.steps_to(0.95)
        peak = int(np.argmax(values))
        peaks.append(values[peak] / values[0])
        ends.append(values[-1] / values[peak])
        before.append(reached is not None and steps[peak] < reached)
    return Verdict(
        bool(all(before) and max(ends) < 0.5),
        {
            "rise": extent(peaks, ",.0f"),
            "left": extent(ends, ".0%"),
            "before": sum(before),
            "count": len(before),
        },
    )


THROUGH = Claim(
    name="sharpness-through-the-transition",
    says="Where networks generalise, sharpness has its peak before they do, and falls through the "
    "transition.",
    evidence="It rises by factors of {rise} and is {left} of its peak at the end; the peak is "
    "before the step at which 95% of the test pairs are right in {before} of {count} networks.",
    decide=_through,
    seeds=3,
    null="none",
    refuted_by="networks that are sharpest after they generalise.",
)


CLAIMS = (SHALLOW, THROUGH)
