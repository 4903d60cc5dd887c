"""Claims about networks in which the gap of the heads has to be missing, moved or kept."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.gaps import widest_by_chance
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import HeadGap

UNIFORM, FEW = "uniform attention", "30% of pairs"
OPEN = 1.5
"""A gap is there where an eigenvalue is more than so many times the next one."""


def _gaps(published: PublishedGrokking, name: str) -> list[HeadGap]:
    return [gap for key, gap in published.sweep.control_gaps.items() if key.startswith(name)]


def _head_controls(published: PublishedGrokking) -> Verdict:
    three, six = (_gaps(published, f"{h} heads") for h in (3, 6))
    few = _gaps(published, FEW)
    counted = [float((gap.widest == gap.heads).mean()) for gap in (*three, *six)]
    stays = [gap.at_the_end for gap in few]
    chance = widest_by_chance(LEADING)
    return Verdict(
        bool(
            min(len(three), len(six), len(few)) >= 3
            and min(counted) > 0.5
            and min(stays) > OPEN
            and not any(gap.generalised for gap in few)
            and chance[:, [2, 5]].max() < 0.1
        ),
        {
            "three": _counts(three),
            "six": _counts(six),
            "few": _counts(few),
            "stays": extent(stays, ".1f"),
            "accuracy": extent([gap.accuracy for gap in few], ".1%"),
            "chance": chance[:, [2, 5]].max(),
        },
    )


def _counts(gaps: list[HeadGap]) -> str:
    return listed([f"{(gap.widest == gap.heads).sum()} of {len(gap.widest)}" for gap in gaps], "")


HEAD_CONTROLS = Claim(
    name="head-controls",
    says="With three and with six heads as many stand apart, before a network generalises; and in "
    "networks that do not generalise the gap stays.",
    evidence="At width 96 the widest of the first twelve gaps is below the third eigenvalue at "
    "{three} checkpoints with three heads, and below the sixth at {six} with six, of those after "
    "the first update at which less than half of the test pairs are right. With 30% of the pairs "
    "to train on and four heads it is below the fourth at {few}, and after 17,000 steps, with "
    "{accuracy} of the test pairs right, the fourth is {stays} times the fifth. In a featureless "
    "spectrum the third or the sixth gap is the widest in {chance:.0%} at the most.",
    decide=_head_controls,
    seeds=3,
    null="simulated featureless spectra; networks that generalise, where the gap closes",
    refuted_by="networks with three or six heads whose widest gap is elsewhere, or one that does "
    "not generalise and loses it.",
)


def _uniform_attention(published: PublishedGrokking) -> Verdict:
    gaps = _gaps(published, UNIFORM)
    after = [gap.steps > 0 for gap in gaps]
    widest = [gap.ratios[at].argmax(1) + 1 for gap, at in zip(gaps, after, strict=True)]
    fourth = np.concatenate(
        [gap.ratios[at, gap.heads - 1] for gap, at in zip(gaps, after, strict=True)]
    )
    purities = [
        found
        for name, found in published.sweep.control_purities.items()
        if name.startswith(UNIFORM)
    ]
    tests = [found.leading(found.steps[-1]) for found in purities]
    counts = [found.neighbours(found.steps[-1]) for found in purities]
    same = [a / max(b, 1) for a, b, _, _ in counts]
    any_two = [c / max(d, 1) for _, _, c, d in counts]
    return Verdict(
        bool(
            len(gaps) >= 3
            and np.mean(np.concatenate(widest) == 4) < 0.25
            and all(test.beyond for test in tests)
            and min(same) > 2 * max(any_two)
        ),
        {
            "fourth": int((np.concatenate(widest) == 4).sum()),
            "checkpoints": len(fourth),
            "ratio": float(np.median(fourth)),
            "accuracy": listed([gap.accuracy for gap in gaps], ".0%"),
            "purity": listed([test.purity for test in tests], ".2f"),
            "rotated": extent([float(test.rotated.max()) for test in tests], ".2f"),
            "same": listed(same, ".0%"),
            "any": listed(any_two, ".0%"),
        },
    )


UNIFORM_ATTENTION = Claim(
    name="uniform-attention",
    says="Without a choice of attention there is no gap of heads, and neighbours of one frequency "
    "are still there.",
    evidence="Where a, b and “=” have the same weight always, the widest of the first twelve gaps "
    "is below the fourth eigenvalue at {fourth} of {checkpoints} checkpoints after the first "
    "update, and in the median the fourth is {ratio:.2f} times the fifth. Three seeds have "
    "{accuracy} of the test pairs right at the end. The first twelve eigenvectors have a purity of "
    "{purity}, random bases {rotated}; of neighbours of one frequency each {same} have the same, "
    "of any two {any}.",
    decide=_uniform_attention,
    seeds=3,
    null="the same networks with attention; random bases; any two eigenvectors",
    refuted_by="a network with uniform attention in which four eigenvalues stand apart while it "
    "memorises.",
)

CLAIMS = (HEAD_CONTROLS, UNIFORM_ATTENTION)
