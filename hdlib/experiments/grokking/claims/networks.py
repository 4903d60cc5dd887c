"""Claims about other seeds, other networks, and the number of heads."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.gaps import widest_by_chance
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import SEEDS, HeadGap, Outcome

CHAPTER = "4 heads, seed 0"


def _networks(published: PublishedGrokking) -> Verdict:
    relu, mlp, (alone,) = published.sweep.outcomes.values()
    learnt = [[found.learnt or found.steps for found in group] for group in (relu, mlp)]
    final = min(found.accuracy for found in (*relu, *mlp))
    spread = max(learnt[1]) / min(learnt[1])
    return Verdict(
        final > 0.999
        and max(learnt[0]) - min(learnt[0]) <= 1_000
        and 1.7 < spread < 2
        and alone.accuracy < 0.02
        and _from_memory(alone),
        {
            "relu": listed(sorted(learnt[0]), ","),
            "mlp": listed(sorted(learnt[1]), ","),
            "frequencies": extent([len(found.frequencies) for found in (*relu, *mlp)]),
            "mirrored": alone.mirrored,
            "others": alone.others,
            "steps": alone.steps,
        },
    )


def _from_memory(outcome: Outcome) -> bool:
    """Whether a network knows mirrored pairs, and none of the others."""
    return outcome.learnt is None and outcome.mirrored > 0.04 and outcome.others < 0.004


NETWORKS = Claim(
    name="networks",
    says="All networks with a ReLU or an MLP generalise, each with frequencies of its own; "
    "attention alone does not.",
    evidence="The six have more than 99.9% of the test pairs right at the end. 95% are right "
    "at steps {relu} with a ReLU, and at {mlp} with an MLP; they have {frequencies} frequencies. "
    "Attention alone, one seed, has {mirrored:.1%} of the mirrored pairs right after {steps:,} "
    "steps, and {others:.1%} of the others.",
    decide=_networks,
    seeds=3,
    null="none",
    refuted_by="a seed with a ReLU or an MLP that does not generalise in these settings, or one of "
    "attention alone that does in as many steps.",
)


def _settings(published: PublishedGrokking) -> Verdict:
    found = published.sweep.variants
    usual, half, embeddings = (
        found[name].learnt or found[name].steps
        for name in ("the chapter's", "train_fraction = 0.5", "init_scale = √128")
    )
    slow = [found["train_fraction = 0.3"], found["weight_decay = 0.3"]]
    return Verdict(
        half / usual < 0.34 and embeddings == usual and all(map(_from_memory, slow)),
        {
            "usual": usual,
            "half": half,
            "embeddings": embeddings,
            "mirrored": listed([outcome.mirrored for outcome in slow], ".1%"),
            "others": listed([outcome.others for outcome in slow], ".1%"),
        },
    )


SETTINGS = Claim(
    name="settings",
    says="More training pairs bring generalisation forward; with fewer, or with less weight decay, "
    "it does not come within these steps. How large the embeddings start makes no difference.",
    evidence="95% of the test pairs are right at step {usual:,} in the chapter's run, at {half:,} "
    "with half of the pairs to train on, and at {embeddings:,} with the larger embeddings. With "
    "30% of the pairs and with a weight decay of 0.3, {mirrored} of the mirrored pairs are right "
    "at the end, and {others} of the others.",
    decide=_settings,
    seeds=1,
    null="none",
    refuted_by="other seeds that order these settings in another way.",
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
    gaps = published.sweep.gaps
    chapter = np.bincount(gaps[CHAPTER].widest, minlength=5)
    holds = [np.median(gap.below) > 1.8 for gap in gaps.values()]
    for name, gap in gaps.items():
        if name != CHAPTER:
            early = gap.ratios[gap.early]
            as_wide = gap.below > 0.98 * early.max(1)
            after = gap.steps[gap.early] > (0 if gap.heads <= 2 else 2_800)
            holds += [(gap.widest == gap.heads).mean() > 0.5, as_wide[after].all()]
    chance = widest_by_chance(LEADING)
    return Verdict(
        bool(
            all(holds)
            and len(gaps[CHAPTER].widest) == 59
            and chapter[[3, 4]].tolist() == [23, 28]
            and chance[:, 0].min() > 0.5
            and chance[:, 1].max() < 0.25
            and chance[:, [3, 7]].max() < 0.03
        ),
        {
            **{f"with_{h}": _counts(gaps, h) for h in (2, 4, 8)},
            "fourth": chapter[4],
            "third": chapter[3],
            "chapter": len(gaps[CHAPTER].widest),
            "chance_1": extent(chance[:, 0], ".0%"),
            "chance_2": extent(chance[:, 1], ".0%"),
            "chance_4": chance[:, [3, 7]].max(),
        },
    )


def _counts(gaps: dict[str, HeadGap], heads: int) -> str:
    """At how many early checkpoints the gap is the widest, of the runs with so many heads."""
    found = [gap for name, gap in gaps.items() if gap.heads == heads and name != CHAPTER]
    return listed([f"{(gap.widest == heads).sum()} of {len(gap.widest)}" for gap in found], "")


HEADS_COUNTED = Claim(
    name="heads-counted",
    says="Before the network generalises, the leading eigenvalues count the heads: as many stand "
    "apart as there are heads, and no more.",
    evidence="While less than half of the test pairs are right, the gap below as many eigenvalues "
    "as there are heads is the widest of the first twelve at {with_2} checkpoints with two heads, "
    "at {with_4} with four from seeds 1 and 2, and at {with_8} with eight. In the chapter's run, "
    "at {chapter} checkpoints, the widest is below the fourth eigenvalue at {fourth} and below the "
    "third at {third}: of the four, one stays closer to the rest for long. In a featureless "
    "spectrum the widest gap is the second in {chance_2}, the fourth or eighth in {chance_4:.0%} "
    "at the most. One head is no evidence: there it is the first in {chance_1} without any reason.",
    decide=_heads_counted,
    seeds=3,
    null="simulated featureless spectra, whose eigenvalues repel",
    refuted_by="a network in which, before it generalises, another number of eigenvalues stands "
    "apart from the rest than it has heads.",
    replaces="networks with one head were counted as evidence, and six checkpoints of the "
    "chapter's run were shown.",
)


def _gap_closes(published: PublishedGrokking) -> Verdict:
    gaps = [gap for gap in published.sweep.gaps.values() if gap.heads > 1]
    learnt = [gap for gap in gaps if gap.generalised]
    slow = [gap for gap in gaps if not gap.generalised]
    return Verdict(
        all((gap.at_the_end < 1.35) == gap.generalised for gap in gaps)
        and all((gap.ratios[-1].argmax() + 1 != gap.heads) == gap.generalised for gap in gaps)
        and [gap.heads for gap in slow] == [8, 8],
        {
            "learnt": len(learnt),
            "shut": max(gap.at_the_end for gap in learnt),
            "slow": len(slow),
            "accuracy": listed([gap.accuracy for gap in slow], ".0%"),
            "open": listed([gap.at_the_end for gap in slow], ".1f"),
        },
    )


GAP_CLOSES = Claim(
    name="gap-closes",
    says="That gap closes when the circuit takes over: in every network with several heads that "
    "generalised, and in neither of those that did not.",
    evidence="At the end the ratio is at most {shut:.2f} in the {learnt} networks that have "
    "generalised, and other gaps are wider. {slow} networks with eight heads have not, with "
    "{accuracy} of the test pairs right, and there it is {open}. With one head the gap stays.",
    decide=_gap_closes,
    seeds=3,
    null="the networks that did not generalise",
    refuted_by="a seed with several heads that generalises and keeps the gap, or loses it long "
    "before.",
)


def _attention(published: PublishedGrokking) -> Verdict:
    found = published.functions.attention
    sizes = np.abs(found.changes)
    most, by_head, fifth = sizes[:4].max(1), sizes[:4].max(0), sizes[4].max()
    return Verdict(
        bool(
            found.step == 8_500
            and ((found.to_a > 0.05) & (found.to_a < 0.95)).all()
            and found.to_equals.max() < 0.01
            and most.min() > 0.35
            and by_head.min() > 0.35
            and fifth < 0.01
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

CLAIMS = (NETWORKS, SETTINGS, FEWER_SOONER, HEADS_COUNTED, GAP_CLOSES, ATTENTION)
