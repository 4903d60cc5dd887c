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
    first, formed, cleaned = results.phases
    if first is None or formed is None:
        return Verdict(False, {}, "The rules do not find all of the phases.")
    over = "is not over at the end" if cleaned is None else f"ends at step {cleaned:,}"
    return Verdict(
        bool(first < formed and half > 5 * memorised and final > 0.999),
        {
            "memorised": memorised,
            "half": half,
            "final": final,
            "ends": listed((first, formed), ","),
            "over": over,
        },
    )


LATE = Claim(
    name="late",
    says="The network memorises early and generalises late, in three phases that rules find.",
    evidence="More than 99% of the training pairs are right at step {memorised:,}, more than half "
    "of the test pairs at step {half:,}, and {final:.1%} of them at the end. Memorisation and "
    "circuit formation end at steps {ends}; clean-up {over}.",
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
    mirrored, others = (results.pairs[key] for key in (MIRRORED, OTHERS))
    half = int(np.argmax(others > 0.5))
    early = [at for at in range(half) if mirrored[at] > 0.09]
    begun, done = results.transition or (0, 0)
    share = results.config.task.mirrored.float().mean().item()
    return Verdict(
        bool(
            len(early) >= 3
            and (mirrored[early] > 4 * others[early]).all()
            and mirrored[half] > others[half] + 0.1
            and mirrored[half] > 0.95
        ),
        {
            "share": share,
            "steps": listed(results.pairs["step"][early], ","),
            "mirrored": listed(mirrored[early], ".1%"),
            "others": listed(others[early], ".1%"),
            "half": int(results.pairs["step"][half]),
            "late_mirrored": mirrored[half],
            "late_others": others[half],
            "begun": begun,
            "done": done,
        },
    )


MEMORY_FIRST = Claim(
    name="memory-first",
    says="The first of the test accuracy is memory: mirrored pairs are learnt before the others.",
    evidence="{share:.0%} of the test pairs are mirrored. At steps {steps} {mirrored} of these are "
    "right, and {others} of the others; at {half:,} it is {late_mirrored:.1%} and "
    "{late_others:.1%}. The transition is from step {begun:,} to {done:,}.",
    decide=_memory_first,
    seeds=1,
    null="the other test pairs, which memory cannot answer",
    refuted_by="a run in which both kinds of test pairs are learnt at one time.",
    replaces="the step at which the test accuracy leaves 5% was pointed out as if generalisation "
    "began there. That is a mark on a smooth ramp, and of mirrored pairs.",
)


def _circuit_grows(published: PublishedGrokking) -> Verdict:
    results = published.results
    keys, steps = np.array(results.frequencies), results.steps.tolist()
    pairs, logits = results.pairs, results.measure("logit_power")
    half = int(pairs["step"][int(np.argmax(pairs[OTHERS] > 0.5))])
    middle, end = logits[steps.index(half)], logits[-1]
    first = middle.argsort()[::-1][:3]
    joined = np.setdiff1d(end.argsort()[::-1][:5], first)
    power = results.measure("embedding_power")
    at_start, at_end = (row[keys - 1].sum() / row.sum() for row in (power[0], power[-1]))
    return Verdict(
        bool(
            middle[first].sum() > 0.6
            and end[first].sum() > 0.5
            and middle[joined].sum() < 0.05
            and end[joined].sum() > 0.15
            and results.measure("explained_variance")[-1] > 0.9
        ),
        {
            "half": half,
            "first": listed(sorted(first + 1), "d"),
            "middle": middle[first].sum(),
            "end": end[first].sum(),
            "joined": listed(sorted(joined + 1), "d"),
            "before": middle[joined].sum(),
            "after": end[joined].sum(),
            "keys": listed(keys, "d"),
            "explained": results.measure("explained_variance")[-1],
            "at_start": at_start,
            "at_end": at_end,
        },
    )


CIRCUIT_GROWS = Claim(
    name="circuit-grows",
    says="The circuit that first gets the test pairs right is there at the end, and other "
    "frequencies have joined it by then.",
    evidence="At step {half:,} frequencies {first} carry {middle:.0%} of the variance of the "
    "logits, and {joined} {before:.0%}; at the end it is {end:.0%} and {after:.0%}. The key "
    "frequencies, {keys}, explain {explained:.0%} then. In the embedding they have {at_start:.0%} "
    "of the power at the start and {at_end:.0%} at the end.",
    decide=_circuit_grows,
    seeds=1,
    null="none",
    refuted_by="as a rule, a run whose frequencies at the end are others than those that first got "
    "the test pairs right. The first edition of this run was one.",
    replaces="one circuit replaces another: frequencies 3 and 50 take over from 1, 21 and 33. The "
    "same network from the same seed, trained again by a step that differs in rounding, first "
    "learns 1, 21 and 33 as well, and keeps them. What comes after generalisation is no property "
    "of seed and setting.",
)

CLAIMS = (LATE, EARLY_CIRCUIT, MEMORY_FIRST, CIRCUIT_GROWS)
