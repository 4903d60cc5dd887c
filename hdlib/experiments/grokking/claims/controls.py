"""Claims about doublets, and about networks in which heads or circuits have to be missing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.clusters import DOUBLETS, Doublets, PurityResults
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import FEW_PAIRS, OTHER_HEADS, SEEDS, UNIFORM


def _uniform_attention(published: PublishedGrokking) -> Verdict:
    gaps = published.sweep.control_gaps[UNIFORM].values()
    found = published.sweep.control_purities[UNIFORM].values()
    tests = [of.leading(of.steps[-1]) for of in found]
    pure = [of.pure(of.steps[-1])[:LEADING] for of in found]
    choosing = (*published.sweep.purities.values(), *_others(published))
    with_heads = [of.leading(of.steps[-1]).purity for of in choosing]
    widest = [gap.ratios[gap.steps > 0].argmax(1) + 1 for gap in gaps]
    heads = [int((ranks == gap.heads).sum()) for ranks, gap in zip(widest, gaps, strict=True)]
    return Verdict(
        bool(
            len(tests) >= 3
            and all(test.beyond for test in tests)
            and min(test.purity for test in tests) > max(with_heads)
            and min(np.count_nonzero(each) for each in pure) >= 10
            and np.mean(np.concatenate(widest) % 2 == 0) > 0.75
            and sum(heads) < 0.25 * sum(map(len, widest))
        ),
        {
            "purity": extent([test.purity for test in tests], ".2f"),
            "rotated": max(float(test.rotated.max()) for test in tests),
            "networks": len(with_heads),
            "heads": extent(with_heads, ".2f"),
            "pure": extent([int(np.count_nonzero(each)) for each in pure]),
            "spectra": sum(map(len, widest)),
            "even": sum(int((ranks % 2 == 0).sum()) for ranks in widest),
            "fourth": sum(heads),
            "accuracy": min(gap.accuracy for gap in gaps),
        },
    )


UNIFORM_ATTENTION = Claim(
    name="uniform-attention",
    says="Without a choice of attention there are no eigenvalues of heads: the leading "
    "eigenvectors are of one frequency each, purer than in any network with a choice.",
    evidence="Where a, b and “=” have the same weight always, the first twelve have a mean purity "
    "of {purity} at the end, random bases at most {rotated:.2f}, and {networks} networks that "
    "choose {heads}. {pure} of the twelve are of one frequency each. Of {spectra} spectra after "
    "the first update the widest of the first twelve gaps is at an even rank, where a pair ends, "
    "in {even}, and below the fourth, of four heads, in {fourth}. At least {accuracy:.0%} of the "
    "test pairs are right at the end.",
    decide=_uniform_attention,
    seeds=3,
    null="networks with a choice of attention; random bases of the span of the leading 60",
    refuted_by="other seeds without a choice of attention whose leading eigenvectors are no purer.",
)


def _doublets(published: PublishedGrokking) -> Verdict:
    sweep = published.sweep
    one = [sweep.purities[f"1 head, seed {seed}"] for seed in SEEDS]
    names = [name for name, gap in sweep.gaps.items() if gap.heads > 1 and gap.generalised]
    uniform, single, several = (
        [of.doublets(of.steps[-1]) for of in group]
        for group in (
            sweep.control_purities[UNIFORM].values(),
            one,
            [sweep.purities[name] for name in names],
        )
    )
    return Verdict(
        bool(
            min(each.same / each.pairs for each in uniform) > 0.5
            and min(each.same - 4 * each.by_chance for each in (*uniform, *single)) > 0
            and 1 / 3 < share(single) < 2 / 3
            and share(several) < 0.25
        ),
        {
            "last": DOUBLETS,
            "uniform": _each(uniform),
            "uniform_chance": extent([each.by_chance for each in uniform], ".1f"),
            "single": _each(single),
            "single_chance": extent([each.by_chance for each in single], ".1f"),
            "networks": len(several),
            "same": sum(each.same for each in several),
            "pairs": sum(each.pairs for each in several),
            "chance": sum(each.by_chance for each in several),
        },
    )


def share(found: Iterable[Doublets]) -> float:
    """Share of the clusters of two, over networks, that are of one frequency."""
    found = list(found)
    return sum(each.same for each in found) / sum(each.pairs for each in found)


def _each(found: Iterable[Doublets]) -> str:
    return listed([f"{each.same} of {each.pairs}" for each in found], "")


PAIRED = Claim(
    name="doublets",
    says="With uniform attention most clusters of two eigenvalues are one frequency each, with one "
    "head about half, and with several heads hardly any: a cosine and its sine have the same "
    "curvature but for the split of the pairs, and heads mix them.",
    evidence="Of the clusters of two among the {last} leading eigenvalues at the end, both "
    "eigenvectors are of one frequency, and the same, in {uniform} with uniform attention, and in "
    "{single} with one head; {uniform_chance} and {single_chance} would be if the frequencies were "
    "permuted. In {networks} networks with several heads that generalised it is {same} of "
    "{pairs} ({chance:.1f} permuted). This was counted when the first of the seeds with uniform "
    "attention had been seen.",
    decide=_doublets,
    seeds=3,
    null="frequencies permuted among the leading eigenvectors",
    refuted_by="seeds with uniform attention whose clusters of two are mostly of two frequencies, "
    "or with one head as seldom of one frequency as by chance.",
)


def _few_pairs(published: PublishedGrokking) -> Verdict:
    gaps = published.sweep.control_gaps[FEW_PAIRS].values()
    found = published.sweep.control_purities[FEW_PAIRS].values()
    pure = [int(np.count_nonzero(of.pure(of.steps[-1]))) for of in found]
    late = [gap.ratios[gap.steps >= gap.steps[-1] / 2] for gap in gaps]
    widest = [ratios.argmax(1) + 1 for ratios in late]
    ranks = [int(np.median(each)) for each in widest]
    at_the_end = [float(gap.ratios[-1].max()) for gap in gaps]
    closed = [
        float(gap.ratios[-1, 2:4].max())
        for gap in published.sweep.gaps.values()
        if gap.heads == 4 and gap.generalised
    ]
    return Verdict(
        bool(
            len(pure) >= 3
            and max(gap.accuracy for gap in gaps) < 0.05
            and min(at_the_end) > 2 * max(closed)
            and all(len(set(each.tolist())) == 1 for each in widest)
            and set(ranks) <= {3, 4}
            and ranks.count(4) > ranks.count(3)
            and max(pure) <= 3
        ),
        {
            "networks": len(at_the_end),
            "accuracy": max(gap.accuracy for gap in gaps),
            "ratios": listed(at_the_end, ".1f"),
            "closed": extent(closed, ".2f"),
            "ranks": listed(ranks, "d"),
            "late": sum(map(len, widest)),
            "pure": extent(pure),
        },
    )


GAP_WITHOUT_CIRCUIT = Claim(
    name="gap-without-circuit",
    says="The gap of the heads needs no circuit: networks that only memorise have it, and keep it "
    "to the end, though not always for every head.",
    evidence="With 20% of the pairs to train on {networks} networks with four heads have at most "
    "{accuracy:.1%} of the test pairs right at the end. In all {late} spectra of the second half "
    "of training the widest of the first twelve gaps is below ranks {ranks}, one and the same for "
    "each network, and at the end λₖ / λₖ₊₁ is {ratios} there; in networks that generalised it is "
    "{closed} at the most below the third or fourth. Of their 60 leading eigenvectors {pure} are "
    "of one frequency.",
    decide=_few_pairs,
    seeds=3,
    null="networks with four heads that generalised",
    refuted_by="networks that memorise and lose the gap.",
)


def _others(published: PublishedGrokking) -> Iterable[PurityResults]:
    controls = published.sweep.control_purities
    return (*controls[OTHER_HEADS].values(), *controls[FEW_PAIRS].values())


CLAIMS = (UNIFORM_ATTENTION, PAIRED, GAP_WITHOUT_CIRCUIT)
