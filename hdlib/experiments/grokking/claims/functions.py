"""Claims about what the leading eigenvectors do to the network's function."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.sweep import SEEDS


def _causal(published: PublishedGrokking) -> Verdict:
    heads, functions = published.heads, published.functions
    medians = {
        name: [np.median(found, axis=1) for found in heads.concentrations(name)]
        for name in heads.names
    }
    one = [medians[f"1 head, seed {seed}"] for seed in SEEDS]
    small, large, random = (
        [float(of[dose]) for of in at]
        for at, dose in (
            ([along for along, _ in one], 1),
            ([along for along, _ in one], 3),
            ([null for _, null in one], 1),
        )
    )
    ahead = np.subtract(small, random)
    others = max(
        float(np.abs(along - null).max())
        for name, (along, null) in medians.items()
        if name[0] in "28"
    )
    last = functions.steps[-1]
    chapter = float(np.median(functions.concentrations(last)[0][1]))
    moves = [functions.moves(last)[0], *(heads.moves(f"1 head, seed {s}")[0] for s in SEEDS)]
    squares = np.square(functions.doses)[:, None]
    sizes = [np.abs(along).sum(2) / squares for along in moves]
    growth = np.concatenate([size[1] / size[0] for size in sizes])
    return Verdict(
        bool(
            ahead.mean() > 0.1
            and ahead.min() > 0.02
            and np.mean(large) < np.mean(random) + 0.06
            and others < 0.2
            and chapter < np.mean(small)
            and 0.5 < growth.min() < growth.max() < 1.5
        ),
        {
            "small": listed(small, ".0%"),
            "large": listed(large, ".0%"),
            "random": listed(random, ".0%"),
            "others": others,
            "chapter": chapter,
            "growth": extent(growth, ".2f"),
        },
    )


CAUSAL = Claim(
    name="causal",
    says="The restricted losses show it less than the function does: moved by a small dose, the "
    "eigenvectors of networks with one head hit the loss of one frequency more than random "
    "directions do, in one seed hardly, and with more heads little.",
    evidence="At 0.1% of the norm {small} of the change of the restricted losses is of one "
    "frequency in the median in the three networks with one head, where random directions have "
    "{random}; at 1% it is {large}. In networks with two or eight heads it is that of random "
    "directions to within {others:.2f} at any dose, and in the chapter's run it is {chapter:.0%}. "
    "Up to 0.1% the change over the square of the dose is {growth} of that at the least dose: near "
    "that of the second derivative.",
    decide=_causal,
    seeds=3,
    null="random directions at the same dose",
    refuted_by="for one head, a seed whose eigenvectors change all frequencies alike at small "
    "doses.",
    replaces="the weights were moved by 1% of their norm, all frequencies suffered alike, and it "
    "was concluded that a cluster does not belong to a frequency. That dose breaks everything.",
)

CLAIMS = (CAUSAL,)
