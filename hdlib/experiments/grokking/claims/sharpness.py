"""Claims about the curvature over the loss, and as the optimiser sees it."""

from __future__ import annotations

import numpy as np

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed, two_digits
from hdlib.experiments.grokking.results import PublishedGrokking

SLINGSHOTS = ((3_000, 3_100, 3_200), (4_100, 4_200, 4_300))
"""Checkpoints before, at and after the two drops of Adam's sharpness."""


def _over_loss(published: PublishedGrokking) -> Verdict:
    results, between, largest = published.results, published.between, published.largest()
    losses, (adam, ceiling) = results.spectrum_losses, results.adam
    first = results.position(5_500)
    ratio, level = largest / losses, (largest / losses)[between(9_400, 10_500)]
    loss_left, largest_left = losses[-1] / losses[first], largest[-1] / largest[first]
    seen, last = adam[between(8_000, 10_500)] / ceiling, adam[-1] / ceiling
    return Verdict(
        bool(
            abs(loss_left - 0.28) < 0.005
            and abs(largest_left - 0.018) < 0.0005
            and (np.diff(ratio[between(5_500, 9_400)]) < 0).all()
            and np.ptp(level) < 0.04 * level.mean()
            and ratio[-1] < 0.25 * level.min()
            and 0.44 < seen.min() < seen.max() < 0.48
            and 0.9 < last / (seen.mean() / 3) < 1.1
        ),
        {
            "loss_left": loss_left,
            "largest_left": largest_left,
            "level": np.ptp(level) / level.mean(),
            "ratio_left": ratio[-1] / level.min(),
            "seen": seen.mean(),
            "seen_left": last / seen.mean(),
        },
    )


OVER_LOSS = Claim(
    name="over-loss",
    says="The transition leaves a mark in the size of the curvature: the curvature over the loss "
    "and Adam's sharpness are level, and turn down as its second half begins.",
    evidence="From step 5,500 to the end the training loss falls to {loss_left:.2f} of what it "
    "was, and λmax to {largest_left:.3f}. Their ratio falls to step 9,400, changes by {level:.1%} "
    "up to 10,500, and is {ratio_left:.2f} of that at the end. Adam's sharpness is at {seen:.2f} "
    "of its ceiling from step 8,000 to 10,500, and at {seen_left:.2f} of that at the end. Nobody "
    "predicted it.",
    decide=_over_loss,
    seeds=1,
    null="none",
    refuted_by="as a rule, a seed in which neither turns in the transition.",
    replaces="the size of the curvature carries no mark of the transition.",
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
            and len(unstable) == 3
            and unstable[-1] == 2_200
            and values[-1] < ceiling / 5
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
    results, largest = published.results, published.largest()
    history, (values, ceiling) = results.history, results.adam
    holds, climbs, drops, falls, jumps = [], [], [], [], []
    for steps in SLINGSHOTS:
        before, drop, after = (results.position(step) for step in steps)
        rows = np.searchsorted(history["step"], steps)
        train, test = (history[f"{part}_loss"][rows] for part in ("train", "test"))
        climbs.append(values[before] / ceiling)
        drops.append(values[drop] / ceiling)
        jumps.append(train[2] / train[0])
        falls.append(1 - test[2] / test[0])
        holds.append(
            climbs[-1] > 0.7
            and drops[-1] < 1 / 8
            and largest[after] > 5 * largest[before]
            and jumps[-1] > 5
            and 0.3 < falls[-1] < 0.43
        )
    begun = (results.transition or (0, 0))[0]
    return Verdict(
        bool(all(holds) and begun - SLINGSHOTS[-1][1] > 1_500),
        {
            "climbs": listed(climbs, ".2f"),
            "drops": listed(drops, ".2f"),
            "jumps": listed(jumps, ".0f"),
            "falls": listed(falls, ".0%"),
        },
    )


SLINGSHOT = Claim(
    name="slingshots",
    says="Twice Adam's sharpness climbs to its ceiling or most of the way and drops; there the "
    "training loss jumps, the plain eigenvalue with it, and the test loss falls.",
    evidence="Before steps 3,100 and 4,200 it reaches {climbs} of the ceiling, and there it has "
    "{drops}. The training loss is {jumps} times as high 200 steps later, and the test loss lower "
    "by {falls}. Thousands of steps pass after the second before the network begins to learn the "
    "pairs that it cannot know from memory.",
    decide=_slingshots,
    seeds=1,
    null="none",
    refuted_by="such drops without a fall of the test loss.",
)

CLAIMS = (OVER_LOSS, ADAM_CEILING, SLINGSHOT)
