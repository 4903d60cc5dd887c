"""Claims about networks in which the gap of the heads has to be missing."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.sweep import HeadGap

UNIFORM = "uniform attention"


def _gaps(published: PublishedGrokking, name: str) -> list[HeadGap]:
    return [gap for key, gap in published.sweep.control_gaps.items() if key.startswith(name)]


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
            np.mean(np.concatenate(widest) == 4) < 0.25
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
    "update, and in the median the fourth is {ratio:.2f} times the fifth. At the end {accuracy} "
    "of the test pairs are right. The first twelve eigenvectors have a purity of "
    "{purity}, random bases {rotated}; of neighbours of one frequency each {same} have the same, "
    "of any two {any}.",
    decide=_uniform_attention,
    seeds=1,
    null="the same networks with attention; random bases; any two eigenvectors",
    refuted_by="a network with uniform attention in which four eigenvalues stand apart while it "
    "memorises.",
)

CLAIMS = (UNIFORM_ATTENTION,)
