"""What decides the claims about Hessians from few images and from all."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Verdict
from hdlib.experiments.mnist.gaps import PREDICTED, predicted, searched
from hdlib.experiments.mnist.results import (
    CARRY,
    GAP,
    LARGEST,
    QUOTED,
    RANK,
    SCORE,
    SMALL,
    Published,
)
from hdlib.experiments.mnist.verdicts import LEVEL


def single_images(runs: Published) -> Verdict:
    """Twenty draws of 50 images at the last checkpoint, beside the quoted headline."""
    draws = runs.first.draw_headlines
    largest, gaps, small = draws[LARGEST], draws[GAP], draws[SMALL]
    carry = runs.first.sweep_measures[CARRY][-1, 0]
    share = runs.first.sweep_shares["N = 50"][0]
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


def early_samples_agree(runs: Published) -> Verdict:
    """The spectrum at step 50 from 50 to all images."""
    measures = runs.first.sweep_measures
    nine = runs.first.sweep_eigenvalues[0][:, -PREDICTED:]
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


def late_samples_differ(runs: Published) -> Verdict:
    """The largest eigenvalue at the last checkpoint from few and from all images."""
    measures = runs.first.sweep_measures
    largest, carry = measures[LARGEST][-1], measures[CARRY][-1]
    hardest = runs.first.sweep_shares["N = 60,000"][-1]
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


def gradient_from_all(runs: Published) -> Verdict:
    """The gradient in the top ten eigenvectors of the Hessian over all images."""
    inside = runs.first.sweep_gradients
    return Verdict(
        bool(inside[:, -1].min() > 0.9 and inside[-1, 2] < 0.3),
        {"all": extent(inside[:, -1], ".0%"), "last": inside[-1, -1], "few": inside[-1, 2]},
    )


def nine_and_ten_are_back(runs: Published) -> Verdict:
    """The ninth and the tenth gap, late, from more images."""
    ranks, scores = runs.first.sweep_measures[RANK], runs.first.sweep_measures[SCORE]
    _, epoch, last = runs.first.sweep_eigenvalues
    search, ten = searched(last[-1]), predicted(last[-1], 10)
    return Verdict(
        ranks[1, 3:].tolist() == [9, 9]
        and abs(scores[1, -1] - 4.87) < 0.01
        and all(searched(each).stands_out for each in epoch[3:])
        and not predicted(epoch[2]).stands_out
        and not any(searched(each).stands_out for each in epoch[1:3])
        and ranks[2, -1] == 10
        and abs(scores[2, -1] - 3.38) < 0.01
        and LEVEL < search.p < 0.07
        and ten.p <= 0.001
        and not predicted(last[-1]).stands_out
        and not any(predicted(last[3], rank).stands_out for rank in (9, 10)),
        {"epoch": scores[1, -1], "last": scores[2, -1], "search": search.p, "alone": ten.p},
    )
