"""What decides the claims about outliers: gaps against featureless spectra, and the gradient."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Verdict
from hdlib.experiments.mnist.gaps import (
    PREDICTED,
    SECOND_LEVEL,
    bent_threshold,
    nulls,
    searched,
    second_level,
    straight_threshold,
)
from hdlib.experiments.mnist.results import ALL_DATA, OWN_SAMPLES, MnistResults, Published
from hdlib.experiments.mnist.verdicts import EARLY, EPOCH, LEVEL, PEAK
from hdlib.measures import GapTest, spacing_ratio, tail_spacings


def repulsion(runs: Published) -> Verdict:
    """Spacing ratios of the run and its nulls, and thresholds of the highest score."""
    spectra = runs.first.trajectory.eigenvalues
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


def _listed(numbers: Iterable[int]) -> str:
    *before, last = (f"{number:,}" for number in numbers)
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
        dict(zip(("first", "second"), map(_listed, found), strict=True))
        | dict(zip(("first_alone", "second_alone"), map(_listed, alone), strict=True))
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
            for step, spectrum in results.trajectory
            if second_level(spectrum.eigenvalues).p < LEVEL
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
            "steps": _listed(found[1]),
            "ranks": " and ".join(str(gap.rank) for gap in more),
            "p": extent([gap.p for gap in more], ".3f"),
        },
    )


def no_other_cluster(runs: Published) -> Verdict:
    """Ranks other than nine at which gaps stand out once training has begun."""
    ranks = [
        rank
        for results in runs.both
        for step, rank in _standing(results, results.searched_gaps).items()
        if step and rank != PREDICTED
    ]
    untrained = runs.second.searched_gaps[0]
    few = searched(runs.first.sweep_eigenvalues[1, 0])
    return Verdict(
        sorted(ranks) == [8, 23, 28, 78]
        and (untrained.rank, untrained.stands_out) == (85, True)
        and (few.rank, few.stands_out) == (25, True),
        {"ranks": _listed(sorted(ranks)), "untrained": untrained.rank, "few": few.rank},
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
    first, overlaps = runs.first, runs.first.trajectory.overlaps(10)
    successive = np.diagonal(overlaps, 1)[first.at(PEAK) :]
    far = overlaps[: first.at(EPOCH) + 1, -1].max()
    return Verdict(
        bool(abs(successive.min() - 0.38) < 0.01 and successive.max() < 0.85 and far < 0.36),
        {"successive": extent(successive, ".2f"), "far": far, "chance": first.chance},
    )
