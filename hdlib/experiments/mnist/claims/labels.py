"""Claims about whether nine outliers mark ten classes: seeds, and labels that have no classes."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.gaps import CLASSES, FEATURELESS, SMALL_P
from hdlib.experiments.mnist.labels.results import SHUFFLED, TRUE, paired_p
from hdlib.experiments.mnist.results import PublishedMnist

CHANCE = 0.25
"""Test accuracy below which no class is learnt; a constant answer has 0.1, and it fluctuates."""
FIRST, LATER = 10, 200
"""A checkpoint of the first steps, and the last one before the end of the epoch."""
LOOKED_AT = 2
"""Of the first seeds, on whose scores these two were chosen; the others are a test of them."""
MOST = 0.8
"""Share of the seeds that is called most of them."""


def _nine_without_classes(runs: PublishedMnist) -> Verdict:
    results = runs.labels
    first = results.at(FIRST)
    standing, found = results.standing[SHUFFLED][:, first], results.found[SHUFFLED][:, first]
    scores = {labels: values[:, first] for labels, values in results.scores.items()}
    accuracy = results.accuracy[SHUFFLED].max()
    return Verdict(
        bool(standing.mean() >= MOST and found.mean() >= MOST and accuracy < CHANCE),
        {
            "classes": CLASSES,
            "step": FIRST,
            "standing": standing.sum(),
            "fresh": standing[LOOKED_AT:].sum(),
            "others": len(standing[LOOKED_AT:]),
            "found": found.sum(),
            "seeds": len(results.seeds),
            "scores": extent(scores[SHUFFLED], ".1f"),
            "true": results.standing[TRUE][:, first].sum(),
            "true_scores": extent(scores[TRUE], ".1f"),
            "higher": (scores[SHUFFLED] > scores[TRUE]).sum(),
            "p": paired_p(scores[SHUFFLED] - scores[TRUE]),
            "accuracy": accuracy,
        },
    )


def _nine_outputs(runs: PublishedMnist) -> Verdict:
    results = runs.labels
    first = results.at(FIRST)
    apart = {labels: values[:, first] for labels, values in results.apart.items()}
    shared = {labels: values[:, first] for labels, values in results.shared.items()}
    return Verdict(
        bool(
            max(values.max() for values in apart.values()) < 0.25
            and min(values.min() for values in shared.values()) > 5
        ),
        {
            "step": FIRST,
            "apart": apart[SHUFFLED].max(),
            "true_apart": apart[TRUE].max(),
            "shared": extent(shared[SHUFFLED], ".0f"),
            "true_shared": extent(shared[TRUE], ".0f"),
        },
    )


def _nine_stays_with_classes(runs: PublishedMnist) -> Verdict:
    results = runs.labels
    later = results.at(LATER)
    standing = {labels: values[:, later] for labels, values in results.standing.items()}
    scores = {labels: values[:, later] for labels, values in results.scores.items()}
    p = paired_p(scores[TRUE] - scores[SHUFFLED])
    return Verdict(
        bool(
            standing[TRUE].mean() >= MOST
            and 0 < standing[SHUFFLED].sum() < standing[TRUE].sum() / 2
            and p > SMALL_P
        ),
        {
            "step": LATER,
            "seeds": len(results.seeds),
            "true": standing[TRUE].sum(),
            "true_scores": extent(scores[TRUE], ".1f"),
            "shuffled": standing[SHUFFLED].sum(),
            "shuffled_scores": extent(scores[SHUFFLED], ".1f"),
            "fresh": (standing[TRUE] & ~standing[SHUFFLED])[LOOKED_AT:].sum(),
            "others": len(standing[TRUE][LOOKED_AT:]),
            "p": p,
        },
    )


def _nine_comes_and_goes(runs: PublishedMnist) -> Verdict:
    results = runs.labels
    counts = {labels: values.sum(0) for labels, values in results.standing.items()}
    before, after = (
        {labels: int(values[at]) for labels, values in counts.items()} for at in (0, -1)
    )
    between = counts[TRUE][1:-1]
    return Verdict(
        bool(
            between.max() > max(before[TRUE], after[TRUE])
            and not results.standing[TRUE].all(1).any()
        ),
        {
            "seeds": len(results.seeds),
            "before": before[TRUE],
            "before_shuffled": before[SHUFFLED],
            "after": after[TRUE],
            "after_shuffled": after[SHUFFLED],
            "most": between.max(),
            "when": f"{results.steps[1:-1][int(np.argmax(between))]:,}",
            "last": f"{results.steps[-1]:,}",
        },
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="nine-without-classes",
        says="A gap at rank nine does not say that {classes} classes are learnt: networks have it "
        "that are trained on shuffled labels, and cannot learn any.",
        evidence="At step {step}, chosen on two seeds, it stands out in {standing} of {seeds} such "
        "networks, {fresh} of the {others} others among them, with scores of {scores}, and a "
        "search finds it in {found}; with the labels of the data in {true}, with {true_scores}, "
        "less than with shuffled ones in {higher} of {seeds} seeds (paired p = {p:.3f}). "
        "With shuffled ones no test accuracy is above {accuracy:.0%}.",
        decide=_nine_without_classes,
        seeds=5,
        null=f"{FEATURELESS}; the rank was fixed before",
        refuted_by="more seeds with shuffled labels of which most have no gap at rank nine.",
        replaces="nine outliers within the first 200 steps, “one less than there are classes”, "
        "were read as a sign of these. The rank is that of the outputs, whatever is learnt.",
    ),
    Claim(
        name="nine-outputs",
        says="The nine are the outputs of the softmax times one direction that the features of all "
        "images share.",
        evidence="At step {step} the nine largest eigenvalues of the Hessian’s block of the "
        "read-out are those of E[diag p − ppᵀ], of which ten outputs have nine, times the largest "
        "of E[hhᵀ], up to {apart:.0%} with shuffled labels and to {true_apart:.0%} with those of "
        "the data. That one is {shared} times the second with shuffled labels, and {true_shared} "
        "times with true ones.",
        decide=_nine_outputs,
        seeds=5,
        null="shuffled labels",
        refuted_by="a network whose nine are there while the features share no direction.",
    ),
    Claim(
        name="nine-stays-with-classes",
        says="Nor does it say so if it stays: at step {step} it is there in most networks with the "
        "labels of the data and in few with shuffled ones, but in some.",
        evidence="It stands out in {true} of {seeds} networks with the labels of the data (scores "
        "of {true_scores}), in {shuffled} with shuffled ones ({shuffled_scores}): in the one and "
        "not in the other in {fresh} of the {others} seeds on which the step was not chosen. "
        "Paired by seed p = {p:.2f}: five seeds do not settle that the labels make a difference.",
        decide=_nine_stays_with_classes,
        seeds=5,
        null="shuffled labels of the same seed: all signs of the paired differences",
        refuted_by="more seeds with which the difference is certain, and none with shuffled labels "
        "that keeps the gap.",
    ),
    Claim(
        name="nine-comes-and-goes",
        says="In no network does the ninth gap stand out from 1,000 images at every checkpoint of "
        "the first epoch.",
        evidence="Before training it does in {before} of {seeds} networks with the labels of the "
        "data, at most in {most} (step {when}), and in {after} at step {last}; with shuffled "
        "labels in {before_shuffled} before and in {after_shuffled} after.",
        decide=_nine_comes_and_goes,
        seeds=5,
        null=FEATURELESS,
        refuted_by="a seed from which it stands out at every checkpoint.",
    ),
)
"""Decided on `PublishedMnist.labels`."""
