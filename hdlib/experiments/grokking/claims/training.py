"""Claims about the course of training, and about the circuit."""

from __future__ import annotations

import numpy as np

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.training import MIRRORED, OTHERS


def _late(published: PublishedGrokking) -> Verdict:
    results = published.results
    history = results.history
    memorised, half = (
        int(history["step"][np.flatnonzero(history[f"{part}_accuracy"] > level)[0]])
        for part, level in (("train", 0.99), ("test", 0.5))
    )
    final = history["test_accuracy"][-1]
    ends = [end for end in results.phases if end is not None]
    found = len(ends) == 3 and ends == sorted(ends)
    return Verdict(
        bool(found and memorised <= 2_500 and half >= 7_500 and final > 0.999),
        {"memorised": memorised, "half": half, "final": final, "ends": listed(ends, ",")},
    )


LATE = Claim(
    name="late",
    says="The network memorises early and generalises late, in three phases that rules find.",
    evidence="More than 99% of the training pairs are right at step {memorised:,}, more than half "
    "of the test pairs at step {half:,}, and {final:.1%} of them at the end. Memorisation, circuit "
    "formation and clean-up end at steps {ends}.",
    decide=_late,
    seeds=1,
    null="none",
    refuted_by="a run in which a phase is not found, or the test pairs are learnt with the "
    "training pairs.",
)


def _early_circuit(published: PublishedGrokking) -> Verdict:
    results = published.results
    history, restricted = results.history, results.measure("restricted_loss")
    half, small = (
        int(results.steps[np.flatnonzero(restricted < level)[0]])
        for level in (restricted[0] / 2, 0.2)
    )
    at_half, at_small = np.searchsorted(history["step"], [half, small])
    rise = history["test_loss"][at_half] / history["test_loss"][0]
    right_half, right_small = history["test_accuracy"][[at_half, at_small]]
    return Verdict(
        bool(rise > 3 and right_half < 0.1 and right_small < 0.25),
        {
            "half": half,
            "small": small,
            "rise": rise,
            "right_half": right_half,
            "right_small": right_small,
        },
    )


EARLY_CIRCUIT = Claim(
    name="early-circuit",
    says="The circuit grows long before the test accuracy shows it.",
    evidence="The restricted loss is half of what it was at first at step {half:,}, with a test "
    "loss {rise:.1f} times that of the start and {right_half:.1%} of the test pairs right; it is "
    "below 0.2 at step {small:,}, with {right_small:.1%} right.",
    decide=_early_circuit,
    seeds=1,
    null="none",
    refuted_by="a restricted loss that falls together with the test loss.",
)


def _memory_first(published: PublishedGrokking) -> Verdict:
    results = published.results
    kept = results.pairs["step"].tolist()
    early, late = [kept.index(step) for step in (3_800, 6_000, 8_500)], kept.index(11_000)
    mirrored, others = (results.pairs[key] for key in (MIRRORED, OTHERS))
    begun, done = results.transition or (0, 0)
    share = results.config.task.mirrored.float().mean().item()
    return Verdict(
        bool(
            abs(share - 0.4) < 0.01
            and (mirrored[early] > (0.093, 0.211, 0.524)).all()
            and (others[early] < (0.01, 0.024, 0.116)).all()
            and 0.87 < others[late] < 0.88 < 0.99 < mirrored[late]
            and (begun, done) == (6_000, 13_500)
        ),
        {
            "share": share,
            "mirrored": listed(mirrored[early], ".1%"),
            "others": listed(others[early], ".1%"),
            "late_mirrored": mirrored[late],
            "late_others": others[late],
            "begun": begun,
            "done": done,
        },
    )


MEMORY_FIRST = Claim(
    name="memory-first",
    says="The first of the test accuracy is memory: mirrored pairs are learnt before the others.",
    evidence="{share:.0%} of the test pairs are mirrored. At steps 3,800, 6,000 and 8,500 "
    "{mirrored} of these are right, and {others} of the others; at 11,000 it is "
    "{late_mirrored:.1%} and {late_others:.1%}. The transition is from step {begun:,} to {done:,}.",
    decide=_memory_first,
    seeds=1,
    null="the other test pairs, which memory cannot answer",
    refuted_by="a run in which both kinds of test pairs are learnt at one time.",
    replaces="the step at which the test accuracy leaves 5% was pointed out as if generalisation "
    "began there. That is a mark on a smooth ramp, and of mirrored pairs.",
)


def _two_circuits(published: PublishedGrokking) -> Verdict:
    results = published.results
    keys, steps = np.array(results.frequencies), results.steps.tolist()
    first, last = np.array([1, 21, 33]) - 1, np.array([3, 50]) - 1
    logits, power = (results.measure(key) for key in ("logit_power", "embedding_power"))
    middle, end = logits[steps.index(11_000)], logits[-1]
    explained = results.measure("explained_variance")[-1]
    strongest = [
        sorted((power[steps.index(step)].argsort()[::-1][:5] + 1).tolist())
        for step in (6_000, 8_500, 9_400)
    ]
    at_start, at_end = (row[keys - 1].sum() / row.sum() for row in (power[0], power[-1]))
    brightened = power[steps.index(13_500)][last].min() > power[steps.index(6_000)].mean()
    return Verdict(
        bool(
            keys.tolist() == [1, 3, 21, 33, 50]
            and middle[first].sum() > 0.74
            and end[last].sum() > 0.7
            and end[32] < 0.02
            and explained > 0.9
            and all(found == [1, 21, 24, 33, 44] for found in strongest)
            and at_start < 0.15
            and at_end > 0.9
            and brightened
        ),
        {
            "middle": middle[first].sum(),
            "last": end[last].sum(),
            "gone": end[32],
            "explained": explained,
            "strongest": listed(strongest[0], "d"),
            "at_start": at_start,
            "at_end": at_end,
        },
    )


TWO_CIRCUITS = Claim(
    name="two-circuits",
    says="One circuit replaces another: what first gets the test pairs right is made of "
    "frequencies 1, 21 and 33, and what is there at the end mostly of 3 and 50.",
    evidence="At step 11,000 the first three carry {middle:.0%} of the variance of the logits; at "
    "the end the other two carry {last:.0%}, and 33 carries {gone:.1%}. All five together explain "
    "{explained:.0%} then. In the embedding they have {at_start:.0%} of the power at the start and "
    "{at_end:.0%} at the end; from step 6,000 to 9,400 the strongest are {strongest}.",
    decide=_two_circuits,
    seeds=1,
    null="none",
    refuted_by="as a rule, a run whose frequencies at the end are those that first got the test "
    "pairs right.",
    replaces="during circuit formation the five key frequencies brighten. 3 and 50 do so only "
    "afterwards.",
)

CLAIMS = (LATE, EARLY_CIRCUIT, MEMORY_FIRST, TWO_CIRCUITS)
