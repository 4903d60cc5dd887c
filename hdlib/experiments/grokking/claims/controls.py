"""A claim about a network in which there can be no eigenvalues of heads."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING


def _uniform_attention(published: PublishedGrokking) -> Verdict:
    (gap,) = published.sweep.control_gaps.values()
    (found,) = published.sweep.control_purities.values()
    last = found.steps[-1]
    test, pure = found.leading(last), found.pure(last)[:LEADING]
    with_heads = [of.leading(of.steps[-1]).purity for of in published.sweep.purities.values()]
    widest = gap.ratios[gap.steps > 0].argmax(1) + 1
    return Verdict(
        bool(
            test.beyond
            and test.purity > max(with_heads)
            and np.count_nonzero(pure) >= 10
            and (widest % 2 == 0).mean() > 0.7
        ),
        {
            "purity": test.purity,
            "rotated": float(test.rotated.max()),
            "heads": extent(with_heads, ".2f"),
            "pure": np.count_nonzero(pure),
            "frequencies": listed(pure, "d"),
            "widest": listed(widest, "d"),
            "accuracy": gap.accuracy,
        },
    )


UNIFORM_ATTENTION = Claim(
    name="uniform-attention",
    says="Without a choice of attention there are no eigenvalues of heads: the leading "
    "eigenvectors are pairs of one frequency each, purer than in any network with a choice.",
    evidence="Where a, b and “=” have the same weight always, the first twelve have a mean purity "
    "of {purity:.2f} at the end, random bases at most {rotated:.2f}, and networks with one to "
    "eight heads {heads}. {pure} of the twelve are of one frequency each: {frequencies}. The "
    "widest of the first twelve gaps is below ranks {widest} at the checkpoints after the first "
    "update: mostly even ones, where a pair ends. {accuracy:.0%} of the test pairs are right.",
    decide=_uniform_attention,
    seeds=1,
    null="networks with a choice of attention; random bases of the span of the leading 60",
    refuted_by="other seeds without a choice of attention whose leading eigenvectors are no purer.",
)

CLAIMS = (UNIFORM_ATTENTION,)
