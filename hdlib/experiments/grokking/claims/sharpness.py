"""Claims about the curvature over the loss, and as the optimiser sees it."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import NO_MEMORISATION, listed, two_digits
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.training import OTHERS

JUMP, BEFORE, AFTER = 10, 300, 500
"""A jump is a training loss of so many times the least of so many steps before; its trace in the
test loss is looked for within so many steps after."""


def _over_loss(published: PublishedGrokking) -> Verdict:
    results, largest = published.results, published.largest()
    losses, (adam, ceiling) = results.spectrum_losses, results.adam
    begun, done = results.transition or (0, 0)
    pairs = results.pairs
    half = int(pairs["step"][int(np.argmax(pairs[OTHERS] > 0.5))])
    first, middle = results.position(begun), results.position(half)
    ratio, seen = largest / losses, adam / ceiling
    level = seen[published.between(begun, half)]
    return Verdict(
        bool(
            largest[-1] / largest[first] < 0.3 * losses[-1] / losses[first]
            and level.min() > 0.8 * level.max()
            and seen[-1] < 0.5 * level.min()
            and ratio[-1] < 0.5 * ratio[middle]
        ),
        {
            "begun": begun,
            "half": half,
            "done": done,
            "loss_left": losses[-1] / losses[first],
            "largest_left": largest[-1] / largest[first],
            "level": extent(level, ".2f"),
            "seen_done": seen[results.position(done)],
            "seen_left": seen[-1],
            "ratio_half": ratio[middle] / ratio[first],
            "ratio_left": ratio[-1] / ratio[first],
        },
    )


OVER_LOSS = Claim(
    name="over-loss",
    says="The transition leaves a mark in the size of the curvature: Adam's sharpness is level in "
    "its first half and turns down in its second, and the largest eigenvalue falls by far more "
    "than the loss.",
    evidence="From step {begun:,} to {half:,} Adam's sharpness is at {level} of its ceiling, at "
    "step {done:,} at {seen_done:.2f}, and at the end at {seen_left:.2f}. From step {begun:,} to "
    "the end the training loss falls to {loss_left:.2f} of what it was, and λmax to "
    "{largest_left:.3f}; their ratio is {ratio_half:.2f} of that at step {half:,}, and "
    "{ratio_left:.2f} at the end. It was first seen in the same network trained by another step.",
    decide=_over_loss,
    seeds=1,
    null="none",
    refuted_by="as a rule, a seed in which neither turns in the transition.",
    replaces="the size of the curvature carries no mark of the transition.",
)


def _adam_ceiling(published: PublishedGrokking) -> Verdict:
    results, between = published.results, published.between
    values, ceiling = results.adam
    memorised = results.phases.memorised
    if memorised is None:
        return Verdict(False, {}, NO_MEMORISATION)
    early = values[between(500, memorised)] / ceiling
    later = between(memorised, results.config.n_steps)
    spread = float(np.divide(*np.quantile(values[later], [0.9, 0.1])))
    plain = published.largest()[later]
    return Verdict(
        bool(
            0.7 < np.median(early) < 1.3
            and early.max() < 2
            and values[-1] < ceiling / 3
            and plain.max() / plain.min() > 100 * spread
        ),
        {
            "early": float(np.median(early)),
            "most": early.max(),
            "memorised": memorised,
            "end": values[-1] / ceiling,
            "spread": spread,
            "plain": two_digits(plain.max() / plain.min()),
        },
    )


ADAM_CEILING = Claim(
    name="adam-ceiling",
    says="While the network memorises, the sharpness that Adam feels hovers at its ceiling, above "
    "which training is unstable.",
    evidence="From step 500 to {memorised:,} it is in the median {early:.2f} of the ceiling, and "
    "at the most {most:.2f}; at the end it is {end:.2f} of it. From the end of memorisation on its "
    "upper and its lower decile differ by a factor of {spread:.1f}, where the "
    "plain largest eigenvalue changes by one of about {plain}.",
    decide=_adam_ceiling,
    seeds=1,
    null="38/η, the limit of stability for β₁ = 0.9",
    refuted_by="a run that memorises with a sharpness far from the ceiling.",
)


def _slingshots(published: PublishedGrokking) -> Verdict:
    results = published.results
    history, (values, ceiling) = results.history, results.adam
    step, train, test = (history[name] for name in ("step", "train_loss", "test_loss"))
    steps, begun = results.spectrum_steps, (results.transition or (0, 0))[0]
    jumps: list[int] = []
    for at in np.flatnonzero((step > 1_000) & (step < begun)):
        least = train[(step >= step[at] - BEFORE) & (step <= step[at])].min()
        if train[at] > JUMP * least and (not jumps or step[at] > jumps[-1] + AFTER):
            jumps.append(int(step[at]))
    before = [values[steps < at][-1] / ceiling for at in jumps]
    after = [values[steps >= at][0] / ceiling for at in jumps]
    falls = [
        1 - test[(step >= at) & (step <= at + AFTER)].min() / test[step < at][-1] for at in jumps
    ]
    return Verdict(
        bool(
            jumps
            and all(b > 1.5 * a for b, a in zip(before, after, strict=True))
            and min(falls) > 0.2
        ),
        {
            "jump": JUMP,
            "times": "once" if len(jumps) == 1 else f"{len(jumps)} times",
            "steps": listed(jumps, ","),
            "before": listed(before, ".2f"),
            "after": listed(after, ".2f"),
            "falls": listed(falls, ".0%"),
            "begun": begun,
        },
    )


SLINGSHOT = Claim(
    name="slingshots",
    says="Where the training loss jumps, which it does {times} in this run, Adam's sharpness has "
    "climbed and drops, and the test loss falls, long before the network generalises.",
    evidence="After step 1,000 and before the transition the training loss rises more than "
    "{jump}-fold at step {steps}. At the checkpoint before Adam's sharpness is at {before} of its "
    "ceiling, at the next one at {after}, and within 500 steps the test loss falls by {falls}. The "
    "transition begins at step {begun:,}.",
    decide=_slingshots,
    seeds=1,
    null="none",
    refuted_by="such jumps without a fall of the test loss.",
)

CLAIMS = (OVER_LOSS, ADAM_CEILING, SLINGSHOT)
