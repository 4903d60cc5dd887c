"""Claims about gaps at the top of the spectrum, tested against featureless ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.claims.spectrum import EPOCH, PEAK
from hdlib.experiments.mnist.gaps import (
    FEATURELESS,
    PREDICTED,
    SMALL_P,
    bent_threshold,
    searched,
    second_level,
    straight_threshold,
)
from hdlib.experiments.mnist.results import MnistResults, PublishedMnist
from hdlib.measures import GapTest, featureless_nulls, spacing_ratio, tail_spacings

EARLY = 200
"""Step until which outliers are called early."""


def _repulsion(runs: PublishedMnist) -> Verdict:
    spectra = runs.first.trajectory.eigenvalues
    ratio = float(np.mean([spacing_ratio(tail_spacings(each)) for each in spectra]))
    simulated = [spacing_ratio(null) for null in featureless_nulls()]
    straight = [straight_threshold(null) for null in featureless_nulls()]
    bent = [bent_threshold(null, each) for null in featureless_nulls() for each in spectra]
    return Verdict(
        abs(ratio - 0.526) < 0.005
        and all(abs(each - 0.535) < 0.01 for each in simulated)
        and 3 < min(straight) <= max(straight) < 3.5
        and max(bent) > max(straight) + 0.5,
        {
            "ratio": ratio,
            "simulated": extent(simulated, ".3f"),
            "straight": extent(straight, ".1f"),
            "bent": extent(bent, ".1f"),
        },
    )


def _standing(results: MnistResults, tests: list[GapTest]) -> dict[int, int]:
    """Step → rank of the gaps that stand out."""
    found = zip(results.steps.tolist(), tests, strict=True)
    return {step: test.rank for step, test in found if test.stands_out}


def _listed(numbers: Iterable[int]) -> str:
    *before, last = [f"{number:,}" for number in numbers] or ["none"]
    return f"{', '.join(before)} and {last}" if before else last


def _nine_early(runs: PublishedMnist) -> Verdict:
    searches = [_standing(results, results.searched_gaps) for results in runs.both]
    found = [
        [step for step, rank in each.items() if rank == PREDICTED and step <= EARLY]
        for each in searches
    ]
    alone = [
        [step for step in _standing(results, results.predicted_gaps) if step <= EARLY]
        for results in runs.both
    ]
    scores = [gap.score for gap in runs.first.searched_gaps]
    highest = scores.pop(runs.first.at(PEAK))
    return Verdict(
        min(map(len, found)) >= 2
        and all(set(one) < set(other) for one, other in zip(found, alone, strict=True))
        and max(scores) < 4.3 < 9.9 < highest,
        {
            "first": _listed(found[0]),
            "second": _listed(found[1]),
            "first_alone": _listed(alone[0]),
            "second_alone": _listed(alone[1]),
            "score": highest,
            "rest": max(scores),
        },
    )


def _nine_not_always(runs: PublishedMnist) -> Verdict:
    first, second = runs.both
    others = [
        results.searched_gaps[results.at(step)]
        for results, step in ((first, 100), (second, PEAK), (second, EARLY))
    ]
    gone = [results.predicted_gaps[results.at(EPOCH)] for results in runs.both]
    weak, untrained = (second.predicted_gaps[second.at(step)] for step in (PEAK, 0))
    return Verdict(
        all(gap.stands_out and gap.rank != PREDICTED for gap in others)
        and not any(gap.stands_out for gap in gone)
        and weak.score < 2.2
        and untrained.stands_out,
        {
            **dict(zip(("first", "peak", "early"), (gap.rank for gap in others), strict=True)),
            "weak": weak.score,
            "gone": extent([gap.score for gap in gone], ".1f"),
            "untrained": untrained.score,
        },
    )


def _late_gaps(runs: PublishedMnist) -> Verdict:
    late = slice(runs.first.at(2 * EPOCH), None)
    count = len(runs.first.steps[late])
    search = sum(gap.p < SMALL_P for gap in runs.first.searched_gaps[late])
    nine = sum(gap.p < SMALL_P for gap in runs.first.predicted_gaps[late])
    return Verdict(
        count == 19 and search <= 2 and nine <= 3,
        {"count": count, "search": search, "nine": nine, "chance": SMALL_P * count},
    )


def _second_level_open(runs: PublishedMnist) -> Verdict:
    found = [
        [
            step
            for step, spectrum in results.trajectory
            if second_level(spectrum.eigenvalues).p < SMALL_P
        ]
        for results in runs.both
    ]
    more = [second_level(eigenvalues) for eigenvalues in runs.first.samples.eigenvalues[0, 3:]]
    count = sum(len(results.steps) for results in runs.both)
    return Verdict(
        not found[0]
        and len(found[1]) <= 2
        and more[0].rank != more[1].rank
        and max(gap.p for gap in more) < SMALL_P,
        {
            "found": len(found[1]),
            "count": count,
            "chance": SMALL_P * count,
            "steps": _listed(found[1]),
            "ranks": " and ".join(str(gap.rank) for gap in more),
            "p": extent([gap.p for gap in more], ".2g"),
        },
    )


def _no_other_cluster(runs: PublishedMnist) -> Verdict:
    ranks = [
        rank
        for results in runs.both
        for step, rank in _standing(results, results.searched_gaps).items()
        if step and rank != PREDICTED
    ]
    untrained = runs.second.searched_gaps[0]
    few = searched(runs.first.samples.eigenvalues[1, 0])
    return Verdict(
        len(set(ranks)) == len(ranks)
        and all(gap.stands_out and gap.rank not in {PREDICTED, *ranks} for gap in (untrained, few)),
        {"ranks": _listed(sorted(ranks)), "untrained": untrained.rank, "few": few.rank},
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="repulsion",
        says="Neighbouring eigenvalues repel each other as those of random matrices do, and a "
        "tail that bends needs a higher score for a gap to stand out than a straight one.",
        evidence="The mean ratio of neighbouring spacings is {ratio:.3f} here, and {simulated} in "
        "the simulated spectra. 95 of 100 of these stay below {straight} where the tail is "
        "straight, and below {bent} with the tails of this run.",
        decide=_repulsion,
        seeds=1,
        null="0.531 for random symmetric matrices, 0.386 for independent eigenvalues",
        refuted_by="a network whose spacings have the ratio of independent eigenvalues.",
        replaces="spacings were taken to be independent, which put the threshold at 7.6 and hid "
        "most of what follows.",
    ),
    Claim(
        name="nine-early",
        says="Within the first 200 steps the dendrogram shows nine outliers in both networks, at "
        "some checkpoints.",
        evidence="From seed 42 the ninth gap has the highest score at steps {first}, from seed 43 "
        "at steps {second}; tested alone it stands out at steps {first_alone} from the one, "
        "{second_alone} from the other. At step 50 of seed 42 the score is {score:.1f}; the "
        "highest at any other checkpoint is {rest:.1f}.",
        decide=_nine_early,
        seeds=2,
        null=FEATURELESS,
        refuted_by="more seeds in which the ninth gap does not stand out in the first 200 steps.",
        replaces="“once, and then no more”, and that one seed cannot tell when; that was the "
        "wrong threshold, and the second run was there.",
    ),
    Claim(
        name="nine-not-always",
        says="In these two networks the nine are not there at every early checkpoint, are gone "
        "after one epoch, and are not all learned.",
        evidence="From seed 42 a gap at rank {first} scores higher at step 100. From seed 43 the "
        "highest is at rank {peak} at step 50, where the ninth is weak ({weak:.1f}), and at rank "
        "{early} at step 200; but the ninth stands out before training, if it is tested alone "
        "({untrained:.1f}). After one epoch it scores {gone}.",
        decide=_nine_not_always,
        seeds=2,
        null=FEATURELESS,
        refuted_by="more seeds in which the ninth gap comes after the start and stays.",
    ),
    Claim(
        name="late-gaps",
        says="After the first epoch 1,000 images show a gap here and there, of different ranks, "
        "from which nothing is drawn.",
        evidence="The search finds one with p below 0.05 at {search} of {count} checkpoints, "
        "where chance gives about {chance:.0f}; rank nine alone has {nine}. They are one network "
        "and the same images, so these checkpoints are not independent.",
        decide=_late_gaps,
        seeds=1,
        null=FEATURELESS,
        refuted_by="other seeds in which one rank stands out at most of the late checkpoints.",
    ),
    Claim(
        name="second-level",
        says="Whether there is a second level of about K² eigenvalues is open.",
        evidence="Among the ranks where it may end {found} of {count} checkpoints have p below "
        "0.05, both from seed 43 (steps {steps}), where chance gives {chance:.1f}. From 10,000 "
        "and from all images there is a hint at step 50: high scores at ranks {ranks}, with p of "
        "{p}. The first images are among the second, the ranks differ, and fifteen spectra were "
        "searched.",
        decide=_second_level_open,
        seeds=2,
        null=FEATURELESS,
        refuted_by="a second network that bears the hint out, or with as many images does not.",
        replaces="“there is none”.",
    ),
    Claim(
        name="no-other-cluster",
        says="Beside the early nine and the exact zeros no cluster is seen twice.",
        evidence="Once training has begun single gaps do stand out from 1,000 images, at ranks "
        "{ranks}, each once; before it that at rank {untrained} from seed 43. That at rank {few} "
        "from 50 images after the first epoch sets apart what single images add.",
        decide=_no_other_cluster,
        seeds=2,
        null=FEATURELESS,
        refuted_by="a gap at one rank that stands out again and again over seeds and samples of "
        "images.",
    ),
)
