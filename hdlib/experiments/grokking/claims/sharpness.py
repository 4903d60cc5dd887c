"""Claims about the curvature over the loss, and as the optimiser sees it."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed, two_digits
from hdlib.experiments.grokking.results import PublishedGrokking

DROP, CLIMB = 1 / 8, 0.5
"""Shares of the ceiling: a slingshot is a drop below the first from above the second."""


def _over_loss(published: PublishedGrokking) -> Verdict:
    results, largest = published.results, published.largest()
    losses, (adam, ceiling) = results.spectrum_losses, results.adam
    begun, done = results.transition or (0, 0)
    first, last = results.position(begun), len(losses) - 1
    ratio, seen = largest / losses, adam / ceiling
    during = published.between(begun, done)
    level = ratio[during].min() / ratio[during].max()
    return Verdict(
        bool(
            largest[last] / largest[first] < 0.3 * losses[last] / losses[first]
            and ratio[last] < 0.5 * ratio[during].min()
            and seen[last] < 0.7 * seen[during].max()
        ),
        {
            "begun": begun,
            "done": done,
            "loss_left": losses[last] / losses[first],
            "largest_left": largest[last] / largest[first],
            "during": ratio[during][-1] / ratio[first],
            "level": level,
            "ratio_left": ratio[last] / ratio[first],
            "seen": extent(seen[during], ".2f"),
            "seen_left": seen[last],
        },
    )


OVER_LOSS = Claim(
    name="over-loss",
    says="Through the transition and after it the largest eigenvalue falls by far more than the "
    "loss.",
    evidence="From step {begun:,} to the end the training loss falls to {loss_left:.2f} of what it "
    "was, and λmax to {largest_left:.3f}; their ratio falls to {during:.2f} of that by step "
    "{done:,}, and to {ratio_left:.2f} at the end. Adam's sharpness is at {seen} of its ceiling "
    "within the transition, and at {seen_left:.2f} at the end. Nobody predicted it.",
    decide=_over_loss,
    seeds=1,
    null="none",
    refuted_by="as a rule, a seed in which both fall alike.",
    replaces="the size of the curvature carries no mark of the transition; and then, that the "
    "ratio is level in the transition and turns down as its second half begins. Trained again by "
    "a step that differs in rounding, the same network does not show where it turns.",
)


def _adam_ceiling(published: PublishedGrokking) -> Verdict:
    results, between = published.results, published.between
    values, ceiling = results.adam
    early = float(np.median(values[between(500, 4_000)]) / ceiling)
    unstable = results.spectrum_steps[np.flatnonzero(values > 2 * ceiling)]
    later = between(results.phases.memorised or 0, 17_000)
    spread = float(np.divide(*np.quantile(values[later], [0.9, 0.1])))
    plain = published.largest()[later]
    return Verdict(
        bool(
            0.8 < early < 1.2
            and values[-1] < ceiling / 3
            and spread < 10
            and plain.max() / plain.min() > 1e4
        ),
        {
            "early": early,
            "unstable": listed(unstable, ","),
            "end": values[-1] / ceiling,
            "spread": spread,
            "plain": two_digits(plain.max() / plain.min()),
        },
    )


ADAM_CEILING = Claim(
    name="adam-ceiling",
    says="While the network memorises, the sharpness that Adam feels hovers at its ceiling, above "
    "which training is unstable.",
    evidence="In the median it is {early:.2f} of the ceiling from step 500 to 4,000, more than "
    "twice as high at steps {unstable}, and {end:.2f} of it at the end. From the end of "
    "memorisation on its upper and its lower decile differ by a factor of {spread:.1f}, where the "
    "plain largest eigenvalue changes by one of about {plain}.",
    decide=_adam_ceiling,
    seeds=1,
    null="38/η, the limit of stability for β₁ = 0.9",
    refuted_by="a run that memorises with a sharpness far from the ceiling.",
)


def _slingshots(published: PublishedGrokking) -> Verdict:
    results = published.results
    history, (values, ceiling) = results.history, results.adam
    steps, seen = results.spectrum_steps, values / ceiling
    begun = (results.transition or (0, 0))[0]
    early = published.between(results.phases.memorised or 0, begun)
    drops = [
        at
        for at in range(*early.indices(len(steps)))
        if seen[at] < DROP and seen[max(at - 3, 0) : at].max(initial=0.0) > CLIMB
    ]
    rows = [np.searchsorted(history["step"], (steps[at - 1], steps[at] + 300)) for at in drops]
    train, test = (
        [history[f"{part}_loss"][slice(*row)] for row in rows] for part in ("train", "test")
    )
    jumps = [float(losses.max() / losses[0]) for losses in train]
    falls = [float(1 - losses[-1] / losses.max()) for losses in test]
    return Verdict(
        bool(drops and min(jumps) > 5 and min(falls) > 0.2),
        {
            "climb": CLIMB,
            "steps": listed(steps[drops], ","),
            "drops": listed(seen[drops], ".2f"),
            "jumps": listed(jumps, ".0f"),
            "falls": listed(falls, ".0%"),
            "begun": begun,
        },
    )


SLINGSHOT = Claim(
    name="slingshots",
    says="Adam's sharpness climbs and drops; there the training loss jumps, and the test loss "
    "falls, long before the network generalises.",
    evidence="Between memorisation and the transition it falls from more than {climb:.0%} of the "
    "ceiling to {drops} of it at steps {steps}. The training loss jumps to {jumps} times what it "
    "was, and the test loss falls by {falls}. The transition begins at step {begun:,}.",
    decide=_slingshots,
    seeds=1,
    null="none",
    refuted_by="such drops without a fall of the test loss.",
)

CLAIMS = (OVER_LOSS, ADAM_CEILING, SLINGSHOT)
