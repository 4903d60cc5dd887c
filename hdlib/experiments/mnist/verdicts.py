"""What decides each claim of the MNIST chapter: thresholds, and the numbers that it is told with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import extent
from hdlib.experiments.claim import Verdict
from hdlib.experiments.mnist.gaps import (
    PREDICTED,
    SECOND_LEVEL,
    bent_threshold,
    nulls,
    predicted,
    searched,
    second_level,
    straight_threshold,
)
from hdlib.experiments.mnist.results import (
    ALL_DATA,
    CARRY,
    GAP,
    LARGEST,
    OWN_SAMPLES,
    QUOTED,
    RANK,
    SCORE,
    SMALL,
    MnistResults,
    Published,
)
from hdlib.measures import GapTest, spacing_ratio, tail_spacings

LEVEL = 0.05
PEAK = 50
EARLY = 200
EPOCH = 469


def early_peak(runs: Published) -> Verdict:
    """Rise and fall of trace and largest eigenvalue in the first epoch."""
    first, second = runs.both
    rise, left, other = [], [], []
    for key in ("trace", "largest_eigenvalue"):
        before, peak, epoch = first.measures[key][[0, first.at(PEAK), first.at(EPOCH)]]
        rise.append(peak / before)
        left.append(epoch / peak)
        other.append(second.measures[key].max() / second.measures[key][0])
    before, after = (first.logged("test_accuracy", step) for step in (0, PEAK))
    return Verdict(
        abs(before - 0.1) < 0.01
        and after > 0.85
        and min(rise) > 10
        and max(left) < 0.25
        and 2 < min(other) < max(other) < 3,
        {
            "rise": extent(rise, ".0f"),
            "left": extent(left, ".0%"),
            "other": extent(other, ".1f"),
            "before": before,
            "after": after,
        },
    )


def late_sharpness(runs: Published) -> Verdict:
    """Largest eigenvalue from the second epoch on, and the loss meanwhile."""
    largest = runs.first.measures["largest_eigenvalue"]
    late = largest[runs.first.at(2 * EPOCH) :] / largest[0]
    steps = EPOCH, int(runs.first.steps[-1])
    loss = np.divide(*(runs.first.logged("train_loss", step) for step in steps))
    return Verdict(
        bool((np.abs(np.log2(late)) < 1).all() and loss > 10),
        {"late": extent(late, ".1f"), "loss": loss},
    )


def negative_eigenvalues(runs: Published) -> Verdict:
    """Number of negative eigenvalues, and the size of the lowest."""
    measures = runs.first.measures
    share = measures["n_negative"] / runs.first.eigenvalues.shape[1]
    lowest = measures["smallest_eigenvalue"]
    return Verdict(
        bool(np.ptp(share) < 0.01 and abs(share.mean() - 0.4) < 0.03)
        and lowest.min() < 10 * lowest[-1] < 0,
        {"share": extent(share, ".1%"), "deepest": lowest.min(), "last": lowest[-1]},
    )


def _plateau(eigenvalues: NDArray[np.float64], clusters: int) -> float:
    """Over what factor of ε there are so many clusters."""
    gaps = np.sort(np.diff(eigenvalues))[::-1]
    return float(gaps[clusters - 2] / gaps[clusters - 1])


def plateaus(runs: Published) -> Verdict:
    """Length of plateaus of n(ε), at ten clusters and elsewhere."""
    first = runs.first
    ten = {step: _plateau(first.eigenvalues[first.at(step)], 10) for step in (PEAK, 100, EARLY)}
    six = _plateau(first.eigenvalues[-1], 6)
    three = _plateau(first.eigenvalues[first.at(13_132)], 3)
    return Verdict(
        3.8 < ten[PEAK] < 4.2
        and 2.7 < ten[100] < ten[EARLY] < 3.3
        and 0.7 * ten[PEAK] < six < ten[PEAK] < three,
        {"ten": ten[PEAK], "later": extent([ten[100], ten[EARLY]], ".1f")}
        | {"six": six, "three": three},
    )


def exact_zeros(runs: Published) -> Verdict:
    """Eigenvalues that are zero to rounding, and those that the symmetry demands."""
    first, second = runs.both
    demanded = first.symmetric_zeros
    return Verdict(
        demanded == second.symmetric_zeros == second.zeros[0] == 257
        and bool((first.zeros == demanded).all())
        and demanded < second.zeros[1:].min(),
        {"demanded": demanded, "more": extent(second.zeros[1:], "d")},
    )


def nine_in_the_read_out(runs: Published) -> Verdict:
    """Weight in the read-out of the nine leading eigenvectors, and of those after them."""
    first, second = runs.both
    leading = first.layer_weights[first.at(PEAK), :30, 2]
    nine, after = leading[:PREDICTED].mean(), leading[PREDICTED:].mean()
    other = [second.layer_weights[second.at(step), :PREDICTED, 2].mean() for step in (10, 100)]
    return Verdict(
        first.layers[2] == "linear" and nine > 0.8 > 0.65 > after and min(other) > 0.7,
        {"nine": nine, "after": after, "other": extent(other, ".0%")},
    )


def spread_as_the_parameters(runs: Published) -> Verdict:
    """Weight per layer of thirty leading eigenvectors, before training and at its end."""
    shares = runs.first.layer_weights[[0, -1], :30].mean(1)
    own = runs.first.parameter_share
    off, convolution = np.abs(shares - own).max(), shares[:, 0]
    return Verdict(
        bool(off < 0.15 and (convolution > 1.5 * own[0]).all()),
        {"off": 100 * off, "convolution": extent(convolution, ".0%"), "own": own[0]},
    )


def filters_kept(runs: Published) -> Verdict:
    """Filters of the first layer at step 50 and at the end."""
    early, last = (runs.first.chosen_filters[label] for label in ("step 50", "step 14,070"))
    contrast = float(last.std() / early.std())
    signs = float((np.sign(early) == np.sign(last)).mean())
    return Verdict(
        1.9 < contrast < 2.1 and 0.7 < signs < 0.8, {"contrast": contrast, "signs": signs}
    )


def repulsion(runs: Published) -> Verdict:
    """Spacing ratios of the run and its nulls, and thresholds of the highest score."""
    spectra = runs.first.eigenvalues
    ratio = float(np.mean([spacing_ratio(tail_spacings(each)) for each in spectra]))
    simulated = [spacing_ratio(null) for null in nulls()]
    straight = [straight_threshold(null) for null in nulls()]
    bent = [bent_threshold(null, each) for null in nulls() for each in spectra]
    return Verdict(
        abs(ratio - 0.526) < 0.005
        and all(abs(each - 0.535) < 0.01 for each in simulated)
        and 3.05 < min(straight) <= max(straight) < 3.25
        and (round(min(bent), 1), round(max(bent), 1)) == (3.1, 4.4),
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


def _steps(steps: list[int]) -> str:
    *before, last = (f"{step:,}" for step in steps)
    return f"{', '.join(before)} and {last}" if before else last


def nine_early(runs: Published) -> Verdict:
    """Checkpoints of the first 200 steps at which the ninth gap stands out, from both seeds."""
    searches = [_standing(results, results.searched_gaps) for results in runs.both]
    found = [[s for s, rank in each.items() if rank == PREDICTED] for each in searches]
    alone = [
        [step for step in _standing(results, results.predicted_gaps) if step <= EARLY]
        for results in runs.both
    ]
    scores = [gap.score for gap in runs.first.searched_gaps]
    highest = scores.pop(runs.first.at(PEAK))
    return Verdict(
        found == [[50, 200], [10, 100]]
        and alone == [[50, 100, 200], [0, 10, 50, 100]]
        and max(scores) < 4.3 < 9.9 < highest,
        dict(zip(("first", "second"), map(_steps, found), strict=True))
        | dict(zip(("first_alone", "second_alone"), map(_steps, alone), strict=True))
        | {"score": highest, "rest": max(scores)},
    )


def nine_not_always(runs: Published) -> Verdict:
    """Where the ninth gap is not, and where it is before anything was learned."""
    first, second = runs.both
    other = _standing(second, second.searched_gaps)
    gone = [results.predicted_gaps[results.at(EPOCH)] for results in runs.both]
    weak, untrained = (second.predicted_gaps[second.at(step)] for step in (PEAK, 0))
    return Verdict(
        _standing(first, first.searched_gaps)[100] == 78
        and (other[PEAK], other[EARLY]) == (23, 8)
        and not any(gap.stands_out for gap in gone)
        and weak.score < 2.2
        and untrained.stands_out,
        {
            "first": _standing(first, first.searched_gaps)[100],
            "peak": other[PEAK],
            "early": other[EARLY],
            "weak": weak.score,
            "gone": extent([gap.score for gap in gone], ".1f"),
            "untrained": untrained.score,
        },
    )


def late_gaps(runs: Published) -> Verdict:
    """Checkpoints after the first epoch with a gap of small p."""
    late = slice(runs.first.at(2 * EPOCH), None)
    count = len(runs.first.steps[late])
    search = sum(gap.p < LEVEL for gap in runs.first.searched_gaps[late])
    nine = sum(gap.p < LEVEL for gap in runs.first.predicted_gaps[late])
    return Verdict(
        (count, search, nine) == (19, 2, 3),
        {"count": count, "search": search, "nine": nine, "chance": LEVEL * count},
    )


def second_level_open(runs: Published) -> Verdict:
    """Gaps of small p among the ranks where a second level may end."""
    found = [
        [
            step
            for step, eigenvalues in zip(results.steps.tolist(), results.eigenvalues, strict=True)
            if second_level(eigenvalues).p < LEVEL
        ]
        for results in runs.both
    ]
    more = [second_level(eigenvalues) for eigenvalues in runs.first.sweep_eigenvalues[0, 3:]]
    count = sum(len(results.steps) for results in runs.both)
    return Verdict(
        found == [[], [0, EPOCH]]
        and (SECOND_LEVEL[0], SECOND_LEVEL[-1]) == (81, 100)
        and [gap.rank for gap in more] == [89, 92]
        and max(gap.p for gap in more) < LEVEL,
        {
            "found": len(found[0] + found[1]),
            "count": count,
            "chance": LEVEL * count,
            "steps": _steps(found[1]),
            "ranks": " and ".join(str(gap.rank) for gap in more),
            "p": extent([gap.p for gap in more], ".3f"),
        },
    )


def gradient_inside(runs: Published) -> Verdict:
    """Fraction of the gradient in the top ten eigenvectors."""
    first = runs.first
    whole, own = (first.gradient_fractions[key] for key in (ALL_DATA, OWN_SAMPLES))
    start, ten, peak = 0, first.at(10), first.at(PEAK)
    return Verdict(
        bool(
            0.45 < min(whole[start], own[start]) < max(whole[start], own[start]) < 0.6
            and max(whole[ten], own[ten]) < 0.12
            and own[peak:].min() > 0.6
            and whole[peak:-1].min() > 0.55
            and whole[-1] < 0.3 < 0.9 < own[-1]
        ),
        {
            "start": extent([whole[start], own[start]], ".0%"),
            "ten": extent([whole[ten], own[ten]], ".0%"),
            "own": own[peak:].min(),
            "whole": whole[peak:-1].min(),
            "last_own": own[-1],
            "last_whole": whole[-1],
            "chance": first.chance,
        },
    )


def space_moves(runs: Published) -> Verdict:
    """Overlaps of the top ten eigenvectors of checkpoints."""
    first, overlaps = runs.first, runs.first.subspace_overlaps
    successive = np.diagonal(overlaps, 1)[first.at(PEAK) :]
    far = overlaps[: first.at(EPOCH) + 1, -1].max()
    return Verdict(
        bool(abs(successive.min() - 0.38) < 0.01 and successive.max() < 0.85 and far < 0.36),
        {"successive": extent(successive, ".2f"), "far": far, "chance": first.chance},
    )


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


def no_other_cluster(runs: Published) -> Verdict:
    """Gaps that the search finds at other ranks than nine, and how often each."""
    ranks = [
        rank
        for results in runs.both
        for rank in _standing(results, results.searched_gaps).values()
        if rank not in (PREDICTED,)
    ]
    few = searched(runs.first.sweep_eigenvalues[1, 0])
    return Verdict(
        set(ranks) == {8, 23, 28, 78} and len(ranks) == 4 and few.stands_out and few.rank == 25,
        {"ranks": _steps(sorted(ranks)), "few": few.rank},
    )
