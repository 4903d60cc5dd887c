"""Claims about whether nine outliers mark ten classes: seeds, and labels that have no classes."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.gaps import CLASSES, FEATURELESS
from hdlib.experiments.mnist.labels.results import LABELS, SHUFFLED, TRUE, paired_p
from hdlib.experiments.mnist.results import PublishedMnist

CHANCE = 0.25
"""Test accuracy below which no class is learnt; a constant answer has 0.1, and it fluctuates."""
FIRST, FROM, LATER = 10, 30, 200
"""A checkpoint of the first steps; where shuffled labels mostly have no gap any more; the last
checkpoint before the end of the epoch."""
LOOKED_AT = 2
"""Of the first seeds, on whose scores the first and the last of these were chosen; the others are a
test of them, and none of `FROM`, which was chosen when all scores were known."""
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
    between = (results.steps >= FROM) & (results.steps <= LATER)
    often = {labels: values[:, between].mean(1) for labels, values in results.standing.items()}
    more = often[TRUE] - often[SHUFFLED]
    at_last = {labels: values[:, results.at(LATER)] for labels, values in results.scores.items()}
    return Verdict(
        bool((often[TRUE] == 1).all() and (more > 0).all() and np.mean(often[SHUFFLED]) < 1 / 3),
        {
            "images": results.images,
            "first": FROM,
            "step": LATER,
            "spectra": between.sum() * len(more),
            "true": round(often[TRUE].sum() * between.sum()),
            "shuffled": round(often[SHUFFLED].sum() * between.sum()),
            "p": paired_p(more),
            "alone": results.standing[SHUFFLED][:, results.at(LATER)].sum(),
            "seeds": len(more),
            "highest": at_last[SHUFFLED].max(),
            "true_scores": extent(at_last[TRUE], ".1f"),
            "p_alone": paired_p(at_last[TRUE] - at_last[SHUFFLED]),
        },
    )


def _nine_before_training(runs: PublishedMnist) -> Verdict:
    standing = runs.labels.standing
    before = {labels: int(values[:, 0].sum()) for labels, values in standing.items()}
    always = {labels: int(values.all(1).sum()) for labels, values in standing.items()}
    seeds = len(standing[TRUE])
    return Verdict(
        before[TRUE] > seeds / 2,
        {
            "seeds": seeds,
            "before": before[TRUE],
            "before_shuffled": before[SHUFFLED],
            "always": always[TRUE],
            "always_shuffled": always[SHUFFLED],
            "after": standing[TRUE][:, -1].sum(),
            "after_shuffled": standing[SHUFFLED][:, -1].sum(),
            "last": f"{runs.labels.steps[-1]:,}",
        },
    )


def _nine_from_all_images(runs: PublishedMnist) -> Verdict:
    by_size = runs.labels.by_size
    few, more, every = sorted({images for _, _, images in by_size})
    steps = sorted({step for _, step, _ in by_size})
    at_last = {
        (labels, images): by_size[labels, steps[-1], images]
        for labels in LABELS
        for images in (few, every)
    }
    standing = {key: sum(test.stands_out for test in tests) for key, tests in at_last.items()}
    of_all = {labels: at_last[labels, every] for labels in LABELS}
    networks = len(of_all[SHUFFLED])
    first = {k: [by_size[k, step, every][0] for step in steps] for k in LABELS}
    many = {k: [test for step in steps for test in by_size[k, step, more]] for k in LABELS}
    return Verdict(
        standing[SHUFFLED, every] >= MOST * networks and standing[SHUFFLED, few] < networks / 2,
        {
            "few": few,
            "more": more,
            "every": every,
            "step": steps[-1],
            "steps": ", ".join(str(step) for step in steps),
            "networks": networks,
            "standing": standing[SHUFFLED, every],
            "standing_few": standing[SHUFFLED, few],
            "scores": ", ".join(f"{test.score:.1f}" for test in of_all[SHUFFLED]),
            "true_standing": standing[TRUE, every],
            "true_standing_few": standing[TRUE, few],
            "true_scores": ", ".join(f"{test.score:.1f}" for test in of_all[TRUE]),
            "shuffled": ", ".join(f"{test.score:.1f}" for test in first[SHUFFLED]),
            "true": ", ".join(f"{test.score:.1f}" for test in first[TRUE]),
            "spectra": len(many[TRUE]),
            "more_shuffled": sum(test.stands_out for test in many[SHUFFLED]),
            "more_true": sum(test.stands_out for test in many[TRUE]),
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
        says="In the block of the read-out the nine are the outputs of the softmax times one "
        "direction that the features of all images share.",
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
        says="From {images:,} images the gap *stays* with the labels of the data: from step "
        "{first} to {step} it is there all the time, and with shuffled ones now and then.",
        evidence="It stands out in {true} of {spectra} spectra of the one kind and in {shuffled} "
        "of the other, in each seed more often (paired p = {p:.3f}); these "
        "steps were chosen when the scores were known. At step {step} alone, which was chosen on "
        "two of the seeds, it does in {alone} of {seeds} with shuffled labels, once with a score "
        "of {highest:.1f} where true labels have {true_scores}: paired by seed p = {p_alone:.2f}.",
        decide=_nine_stays_with_classes,
        seeds=5,
        null="shuffled labels of the same seed: all signs of the paired differences",
        refuted_by="further seeds that keep the gap with shuffled labels, or lose it with true "
        "ones.",
        replaces="five seeds do not settle that the labels make a difference, which was said of "
        "one step.",
    ),
    Claim(
        name="nine-from-all-images",
        says="Averaged over all images the gap at nine is there without learning too: at the end "
        "of the first epoch {standing} of {networks} networks with shuffled labels have it. What "
        "goes with learning is that few images show it.",
        evidence="At step {step} it stands out with scores of {scores}, by seed, from all "
        "{every:,} images, and from {few:,} in {standing_few} of {networks}. With the labels of "
        "the data it does in {true_standing}, with {true_scores}, and in {true_standing_few}. It "
        "was looked for there after the first seed had shown it: at steps {steps} that has "
        "{shuffled}, and with the labels of the data {true}. From {more:,} images it stands out in "
        "{more_shuffled} of {spectra} spectra with shuffled labels, at these steps of all seeds, "
        "and in {more_true} with true ones.",
        decide=_nine_from_all_images,
        seeds=5,
        null=FEATURELESS,
        refuted_by="further networks with shuffled labels of which most have no gap at nine from "
        "all images.",
        replaces="what goes with learning is that the gap stays. That is so of few images.",
    ),
    Claim(
        name="nine-before-training",
        says="The nine are often there before training, when nothing has been learnt.",
        evidence="Before the first update the ninth gap stands out in {before} of {seeds} networks "
        "with the labels of the data, and in {before_shuffled} with shuffled ones. It does at "
        "every checkpoint of the first epoch in {always} and in {always_shuffled}, and at step "
        "{last} in {after} and {after_shuffled}.",
        decide=_nine_before_training,
        seeds=5,
        null=FEATURELESS,
        refuted_by="more seeds of which most have no gap at rank nine before training.",
        replaces="in no network does it stand out at every checkpoint, as two seeds had it.",
    ),
)
"""Decided on `PublishedMnist.labels`."""
