"""Claims about Hessians from few images and from all."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.gaps import (
    CLASSES,
    FEATURELESS,
    PREDICTED,
    SMALL_P,
    predicted,
    searched,
)
from hdlib.experiments.mnist.results import PublishedMnist
from hdlib.experiments.mnist.samples import CARRY, GAP, LARGEST, QUOTED, RANK, SMALL


def _single_images(runs: PublishedMnist) -> Verdict:
    draws = runs.first.samples.draws
    largest, gaps, small = draws[LARGEST], draws[GAP], draws[SMALL]
    carry = runs.first.samples.measures[CARRY][-1, 0]
    share = runs.first.samples.shares["N = 50"][0]
    return Verdict(
        bool(
            largest.max() > 100 * largest.min()
            and largest.min() < QUOTED[LARGEST] < largest.max()
            and gaps.min() < QUOTED[GAP] < gaps.max()
            and 0.9 * small.min() < QUOTED[SMALL] < small.min()
            and carry < 1.1
            and share > 0.99
        ),
        {
            "largest": extent(largest, ".2g"),
            "gaps": extent(gaps, ".2g"),
            "small": extent(small, ",.0f"),
            "share": share,
        }
        | dict(zip(("quoted", "quoted_gap", "quoted_small"), QUOTED.values(), strict=True)),
    )


def _late_samples_differ(runs: PublishedMnist) -> Verdict:
    measures = runs.first.samples.measures
    largest, carry = measures[LARGEST][-1], measures[CARRY][-1]
    hardest = runs.first.samples.shares["N = 60,000"][-1]
    return Verdict(
        largest[2] > 1.8 * largest[-1]
        and carry[2] < 5
        and 100 < carry[-1] < 1_000
        and QUOTED[LARGEST] > 10 * largest[-1]
        and abs(hardest - 0.25) < 0.05,
        {
            "all": largest[-1],
            "thousand": largest[2],
            "few": carry[2],
            "gap": measures[GAP][-1, -1],
            "many": carry[-1],
            "hardest": hardest,
            "quoted": QUOTED[LARGEST],
        },
    )


def _early_samples_agree(runs: PublishedMnist) -> Verdict:
    measures = runs.first.samples.measures
    nine = runs.first.samples.eigenvalues[0][:, -PREDICTED:]
    off = float(np.abs(nine / nine[-1] - 1).max())
    spread = float(np.ptp(measures[LARGEST][0]) / measures[LARGEST][0, -1])
    carry = measures[CARRY][0, -1]
    return Verdict(
        bool((measures[RANK][0] == PREDICTED).all())
        and spread < 0.15
        and off < 0.4
        and carry > 2_000,
        {"off": off, "spread": spread, "carry": carry},
    )


def _nine_are_back(runs: PublishedMnist) -> Verdict:
    _, epoch, last = runs.first.samples.eigenvalues
    few, *more = [searched(each) for each in epoch[2:]]
    search, ten = searched(last[-1]), predicted(last[-1], CLASSES)
    fewer = [predicted(last[3], rank) for rank in (PREDICTED, CLASSES)]
    return Verdict(
        all(gap.stands_out and gap.rank == PREDICTED for gap in more)
        and not few.stands_out
        and not predicted(epoch[2]).stands_out
        and search.rank == CLASSES
        and search.p > SMALL_P > ten.p
        and not any(gap.stands_out for gap in (predicted(last[-1]), *fewer)),
        {
            "epoch": more[-1].score,
            "epoch_p": more[-1].p,
            "last": search.score,
            "search": search.p,
            "alone": ten.p,
            "fewer_nine": fewer[0].p,
            "fewer_ten": fewer[1].p,
        },
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="single-images",
        says="At the end of training a headline like the original's, from 50 images, is the work "
        "of single images.",
        evidence="At one and the same point twenty draws of 50 images give largest eigenvalues of "
        "{largest}, and gaps of {gaps}; the quoted {quoted} and {quoted_gap} lie within. (The "
        "quoted {quoted_small:,} small eigenvalues are a little fewer than the {small} of the "
        "draws: it is another training run.) In the smallest nested sample one image carries "
        "{share:.1%} of the eigenvalue.",
        decide=_single_images,
        seeds=1,
        null="none",
        refuted_by="draws that still scatter so after the hardest hundredth of the training set "
        "is removed.",
    ),
    Claim(
        name="late-samples-differ",
        says="At the last checkpoint 1,000 images are too few: from all images the largest "
        "eigenvalue is far smaller, and hundreds of images carry it.",
        evidence="It is {thousand:.2f} from 1,000 images, of which {few:.0f} carry it, and "
        "{all:.2f} from all, of which {many:.0f} do, with a gap of {gap:.2f} to the next; the "
        "fifty hardest have {hardest:.0%} of it. Quoted, from 50: {quoted}.",
        decide=_late_samples_differ,
        seeds=1,
        null="all training images",
        refuted_by="another seed whose late spectra from 1,000 and from all images agree.",
    ),
    Claim(
        name="early-samples-agree",
        says="At step 50 no single image decides: any number of them shows the nine outliers.",
        evidence="From 50 to all 60,000 images the largest eigenvalue changes by {spread:.0%}, "
        "and each of the nine is within {off:.0%} of its place from all; {carry:,.0f} images "
        "carry the largest.",
        decide=_early_samples_agree,
        seeds=1,
        null="all training images",
        refuted_by="another seed whose early outliers come and go with the sample.",
    ),
    Claim(
        name="nine-are-back",
        says="With all images in the Hessian nine stand out at the end of the first epoch; at the "
        "end of training none does, if every rank is searched, and for ten there is a weak hint.",
        evidence="After the epoch the ninth gap has the highest score from 10,000 images and from "
        "all ({epoch:.2f}, p = {epoch_p:.1g}, search included); from 1,000 nothing stands out. At "
        "the end the tenth has it from all ({last:.2f}, p = {search:.3f}, search included). Tested "
        "alone it would have p = {alone:.1g}, but nine was predicted as well as ten and does not "
        "stand out, and from 10,000 images neither does (p = {fewer_nine:.2f} and "
        "{fewer_ten:.2f}).",
        decide=_nine_are_back,
        seeds=1,
        null=FEATURELESS,
        refuted_by="another network in which nine do not stand out from all images after the first "
        "epoch.",
        replaces="these gaps “do not stand out”, from the threshold that was wrong. And then: ten "
        "are back at the end, from one test at one number of images.",
    ),
)
