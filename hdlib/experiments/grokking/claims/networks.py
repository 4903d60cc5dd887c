"""Claims about other seeds, other networks, and the number of heads."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.gaps import widest_by_chance
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import FEW_PAIRS, OTHER_HEADS, SEEDS, HeadGap, Outcome

CHAPTER = "4 heads, seed 0"


def _networks(published: PublishedGrokking) -> Verdict:
    relu, mlp, *groups = published.sweep.outcomes.values()
    alone = [found for group in groups for found in group]
    learnt = [[found.learnt or found.steps for found in group] for group in (relu, mlp)]
    final = min(found.accuracy for found in (*relu, *mlp))
    return Verdict(
        final > 0.99 and len(alone) >= 6 and all(map(_from_memory, alone)),
        {
            "final": final,
            "relu": listed(sorted(learnt[0]), ","),
            "mlp": listed(sorted(learnt[1]), ","),
            "frequencies": extent([len(found.frequencies) for found in (*relu, *mlp)]),
            "alone": len(alone),
            "steps": alone[0].steps,
            "mirrored": extent([found.mirrored for found in alone], ".1%"),
            "others": extent([found.others for found in alone], ".1%"),
        },
    )


def _from_memory(outcome: Outcome) -> bool:
    """Whether a network knows mirrored pairs, and none of the others."""
    return (
        outcome.learnt is None and outcome.mirrored > 4 * outcome.others and outcome.others < 0.01
    )


NETWORKS = Claim(
    name="networks",
    says="All networks with a ReLU or an MLP generalise, each with frequencies of its own; "
    "attention alone does not, however its matrices start.",
    evidence="They have at least {final:.1%} of the test pairs right at the end. 95% are right "
    "at steps {relu} with a ReLU, and at {mlp} with an MLP; they have {frequencies} frequencies. "
    "Attention alone, {alone} networks from three seeds and two starts, has {mirrored} of the "
    "mirrored pairs right after {steps:,} steps, and {others} of the others.",
    decide=_networks,
    seeds=3,
    null="none",
    refuted_by="a seed with a ReLU or an MLP that does not generalise in these settings, or one of "
    "attention alone that does in as many steps.",
)


def _fewer_sooner(published: PublishedGrokking) -> Verdict:
    reached = {
        seed: [
            marks[1] if marks else 17_001
            for name, (*_, marks) in published.sweep.leading().items()
            if name.endswith(f"seed {seed}")
        ]
        for seed in SEEDS
    }
    by_heads = zip(*reached.values(), strict=True)
    return Verdict(
        all(len(steps) == 4 and steps == sorted(steps) for steps in reached.values()),
        {
            f"with_{h}": listed([f"{s:,}" if s <= 17_000 else "never" for s in steps], "")
            for h, steps in zip((1, 2, 4, 8), by_heads, strict=True)
        },
    )


FEWER_SOONER = Claim(
    name="fewer-sooner",
    says="Fewer heads generalise sooner, in each of three seeds.",
    evidence="95% of the test pairs are right at steps {with_1} with one head, {with_2} with two, "
    "{with_4} with four, and {with_8} with eight, within 17,000 steps.",
    decide=_fewer_sooner,
    seeds=3,
    null="none",
    refuted_by="a seed with which more heads are sooner.",
)


def _heads_counted(published: PublishedGrokking) -> Verdict:
    others, few = (published.sweep.control_gaps[kind] for kind in (OTHER_HEADS, FEW_PAIRS))
    gaps = {name: gap for name, gap in published.sweep.gaps.items() if gap.heads > 1} | others
    memorising = {f"{FEW_PAIRS}, {name}": gap for name, gap in few.items()}
    chapter = np.bincount(gaps[CHAPTER].widest, minlength=5)
    every = (*gaps.values(), *memorising.values())
    counted = [bool((gap.widest == gap.heads).mean() > 0.5) for gap in every]
    chance = widest_by_chance(LEADING)
    return Verdict(
        bool(
            np.mean(counted) > 0.85
            and min(np.median(gap.below) for gap in gaps.values()) > 1.5
            and chapter[[3, 4]].sum() > 0.9 * chapter.sum()
            and chance[:, 0].min() > 0.5
            and chance[:, 1].max() < 0.25
            and chance[:, [2, 3, 5, 7]].max() < 0.1
        ),
        {
            **{f"with_{h}": _counts(gaps, h) for h in (2, 3, 4, 6, 8)},
            "memorising": _counts(memorising, 4),
            "networks": sum(counted),
            "of": len(counted),
            "fourth": chapter[4],
            "third": chapter[3],
            "chapter": len(gaps[CHAPTER].widest),
            "chance_1": extent(chance[:, 0], ".0%"),
            "chance_2": extent(chance[:, 1], ".0%"),
            "chance_4": chance[:, [2, 3, 5, 7]].max(),
        },
    )


def _counts(gaps: dict[str, HeadGap], heads: int) -> str:
    """At how many early checkpoints the gap is the widest, of the runs with so many heads."""
    found = [gap for name, gap in gaps.items() if gap.heads == heads and name != CHAPTER]
    return listed([f"{(gap.widest == heads).sum()} of {len(gap.widest)}" for gap in found], "")


HEADS_COUNTED = Claim(
    name="heads-counted",
    says="Before the network generalises, the leading eigenvalues count the heads: as many stand "
    "apart as there are heads, now and then one less, and no more.",
    evidence="While less than half of the test pairs are right, the gap below as many eigenvalues "
    "as there are heads is the widest of the first twelve at most checkpoints in {networks} of "
    "{of} networks with several heads: at {with_2} with two heads, at {with_4} with four from "
    "seeds 1 and 2, and at {with_8} with eight; of width 96 at {with_3} with three and at "
    "{with_6} with six; and where too few pairs are trained on, and the network never generalises, "
    "at {memorising} with four. In the chapter's run, at {chapter} checkpoints, "
    "it is below the fourth eigenvalue at {fourth} and below the third at {third}: of the four, "
    "one stays closer to the rest for long. In a featureless "
    "spectrum the widest gap is the second in {chance_2}, the third, fourth, sixth or eighth in "
    "{chance_4:.0%} at the most. One head is no evidence: there it is the first in {chance_1} "
    "without any reason.",
    decide=_heads_counted,
    seeds=3,
    null="simulated featureless spectra, whose eigenvalues repel",
    refuted_by="networks in which, before they generalise, more eigenvalues stand apart from the "
    "rest than they have heads, or mostly fewer.",
    replaces="networks with one head were counted as evidence, and six checkpoints of the "
    "chapter's run were shown.",
)


def _gap_closes(published: PublishedGrokking) -> Verdict:
    sweep = published.sweep
    gaps = [
        gap
        for gap in (*sweep.gaps.values(), *sweep.control_gaps[OTHER_HEADS].values())
        if gap.heads > 1
    ]
    learnt = [gap for gap in gaps if gap.generalised]
    slow = sorted((gap for gap in gaps if not gap.generalised), key=lambda gap: gap.accuracy)
    left = [gap.at_the_end for gap in slow]
    return Verdict(
        bool(
            len(learnt) >= 5
            and max(gap.at_the_end for gap in learnt) < 1.6
            and len(slow) >= 3
            and left == sorted(left, reverse=True)
            and left[0] > 3
        ),
        {
            "learnt": len(learnt),
            "shut": max(gap.at_the_end for gap in learnt),
            "slow": len(slow),
            "accuracy": listed([gap.accuracy for gap in slow], ".0%"),
            "left": listed(left, ".1f"),
        },
    )


GAP_CLOSES = Claim(
    name="gap-closes",
    says="That gap closes as the circuit takes over: it is shut in every network with several "
    "heads that has generalised, and where a network is on the way it is the narrower the more "
    "pairs are right.",
    evidence="At the end the ratio is at most {shut:.2f} in the {learnt} networks that have 95% of "
    "the test pairs right. {slow} with six or eight heads have not: with {accuracy} of them right "
    "the ratio is {left}. With one head the gap stays.",
    decide=_gap_closes,
    seeds=3,
    null="the networks that did not generalise",
    refuted_by="a seed with several heads that generalises and keeps the gap, or loses it long "
    "before.",
    replaces="networks were told apart by half of the test pairs; one with six heads has more "
    "right and keeps its gap, as most of these are mirrored pairs.",
)


def _attention(published: PublishedGrokking) -> Verdict:
    found = published.functions.attention
    sizes = np.abs(found.changes)
    most, by_head, fifth = sizes[:4].max(1), sizes[:4].max(0), sizes[4].max()
    return Verdict(
        bool(
            ((found.to_a > 0.05) & (found.to_a < 0.95)).all()
            and found.to_equals.max() < 0.01
            and most.min() > 0.35
            and by_head.min() > 0.35
            and 10 * fifth < most.min()
        ),
        {
            "step": found.step,
            "equals": found.to_equals.max(),
            "most": extent(most, ".0%"),
            "fifth": fifth,
        },
    )


ATTENTION = Claim(
    name="attention",
    says="The four leading eigenvectors are the balance of attention, once for each head.",
    evidence="At step {step:,} each head splits its attention between a and b, and gives at most "
    '{equals:.2%} to "=". A move by 1% of the norm along one of the four changes one head\'s '
    "attention to a by {most}, one head for itself and the other three in combinations; along the "
    "fifth by {fifth:.1%} at the most.",
    decide=_attention,
    seeds=1,
    null="the fifth eigenvector",
    refuted_by="a network in which eigenvectors after those of the heads move attention as much.",
)

CLAIMS = (NETWORKS, FEWER_SOONER, HEADS_COUNTED, GAP_CLOSES, ATTENTION)
