"""Claims about gaps: sort by function, then read them, on seeds that did not find the rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.planted.claims.eigenvalues import LITTLE
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.results import FINDING, TESTING, PlantedResults
from hdlib.experiments.planted.statistics import own_gap
from hdlib.measures import GapTest

LEVEL = 0.05
MOSTLY = 0.9
"""Share of the spectra from which a gap is a rule."""


def _sorted_gaps(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    apart, trunk = (main.searched_gaps(alpha, "end") for alpha in (0.0, 1.0))
    own = {
        f"α = {alpha:g}, seed {seed}, circuit {circuit}": gap
        for alpha, seeds in ((0, apart), (1, trunk))
        for seed, gaps in zip(main.grid.seeds, seeds, strict=True)
        for circuit, gap in enumerate(gaps[:-1], 1)
    }
    standing = [gap for gap in own.values() if gap.stands_out]
    rest = [f"{name}: p = {gap.p:.2g}" for name, gap in own.items() if not gap.stands_out]
    return Verdict(
        bool(len(standing) >= MOSTLY * len(own)),
        {
            "ranks": _ranks(apart),
            "trunk": _ranks(trunk),
            "standing": len(standing),
            "p": max((gap.p for gap in standing), default=1.0),
            "rest": "; ".join(rest) or "none",
            "scores": extent([gap.score for gap in own.values()], ".1f"),
            "spectra": len(own),
        },
    )


def _rank_elsewhere(found: PublishedPlanted) -> Verdict:
    tested = {alpha: found["main"].tested_gaps(alpha, "end")[:-1] for alpha in (0.0, 1.0)}
    p = np.array([[[gap.p for gap in gaps] for _, gaps in each] for each in tested.values()])
    held = int((p <= LEVEL).sum())
    return Verdict(
        bool(0.25 < held / p.size < 0.75),
        {
            "finding": " and ".join(map(str, FINDING)),
            "testing": ", ".join(map(str, TESTING)),
            "each": "; ".join(
                f"α = {alpha:g}, rank {rank}: {_ps(gaps)}"
                for alpha, each in tested.items()
                for rank, gaps in each
            ),
            "held": held,
            "tests": p.size,
            "level": LEVEL,
            "by_chance": 1 / LEVEL,
        },
    )


def _together(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    apart, trunk = (main.searched_gaps(alpha, "end") for alpha in (0.0, 1.0))
    off = np.array([_off(gaps) for gaps in apart])
    best = main.statistic("best", 0.0, "end")[:, 1]
    return Verdict(
        bool(not off.any() and max(gaps[-1].p for gaps in apart) <= LEVEL and best.max() < LITTLE),
        {
            "sums": ", ".join(_sum(gaps) for gaps in apart),
            "p": max(gaps[-1].p for gaps in apart),
            "best": extent(best, ".2f"),
            "trunk": ", ".join(str(_off(gaps)) for gaps in trunk),
        },
    )


def _off(gaps: Sequence[GapTest]) -> int:
    """Rank of the gap of all eigenvalues, less the sum of those of the circuits."""
    return gaps[-1].rank - sum(gap.rank for gap in gaps[:-1])


def _sum(gaps: Sequence[GapTest]) -> str:
    return f"{gaps[-1].rank} for " + " + ".join(str(gap.rank) for gap in gaps[:-1])


def _ranks(gaps: Sequence[Sequence[GapTest]]) -> str:
    return ", ".join(" and ".join(str(gap.rank) for gap in seed[:-1]) for seed in gaps)


def predicted_ranks(results: PlantedResults, circuit: int) -> tuple[int, int]:
    """2K, two for each frequency that is to be had, and C − 1, those of a softmax."""
    p = results.grid.moduli[circuit]
    return 2 * (results.grid.frequencies or (p - 1) // 2), p - 1


def _frequencies(found: PublishedPlanted) -> Verdict:
    p: dict[str, list[list[float]]] = {}
    for name in ("all pairs", "few waves", "fewer waves"):
        results = found[name]
        p[name] = [[], []]
        for seed in results.grid.seeds:
            for circuit, values in enumerate(results.own_spectra(0.0, seed, "end")[:-1]):
                for which, rank in enumerate(predicted_ranks(results, circuit)):
                    p[name][which].append(own_gap(values, rank).p)
    waves = {name: p[name] for name in ("few waves", "fewer waves")}
    twice = np.concatenate([each[0] for each in waves.values()])
    softmax = np.concatenate([each[1] for each in waves.values()])
    untrained = [
        own_gap(values, predicted_ranks(found["all pairs"], circuit)[1]).p
        for seed in found["all pairs"].grid.seeds
        for circuit, values in enumerate(
            found["all pairs"].own_spectra(0.0, seed, "untrained")[:-1]
        )
    ]
    accuracy = min(found[name].logged("company", 0.0, "end").min() for name in p)
    return Verdict(
        bool((twice <= LEVEL).sum() == 0 and (softmax <= LEVEL).mean() <= 0.5),
        {
            "accuracy": accuracy,
            "networks": len(twice),
            "twice": int((twice <= LEVEL).sum()),
            "least": twice.min(),
            "softmax": int((softmax <= LEVEL).sum()),
            "all": int((np.concatenate(p["all pairs"]) <= LEVEL).sum()),
            "of": sum(len(each) for each in p["all pairs"]),
            "untrained": int((np.array(untrained) <= LEVEL).sum()),
            "before": len(untrained),
        },
    )


def _ps(gaps: Sequence[GapTest]) -> str:
    return ", ".join(f"{gap.p:.2g}" for gap in gaps)


CLAIMS = (
    Claim(
        "sort-then-read",
        "Sorted by the outputs that they move, the eigenvalues of a circuit have a gap of their "
        "own: in {standing} of {spectra} spectra it stands out from every kind of featureless one.",
        "Widest gap of the two circuits, seed by seed: below ranks {ranks} at α = 0, {trunk} at "
        "α = 1; scores {scores}. Where it stands out p is at most {p:.2g}, the search over ranks "
        "included; where it does not, {rest}.",
        _sorted_gaps,
        seeds=5,
        null="simulated spectra without a gap, searched in the same way",
        refuted_by="further seeds in which one circuit in ten, or more, has no such gap.",
        replaces="in every seed. One of the spectra is at the level, and does not stand out.",
    ),
    Claim(
        "the-rank-is-not-a-constant",
        "Its rank is no constant, and not free either: at the ranks that two seeds suggest there "
        "is a gap in {held} of {tests} tests in other seeds, more than by chance and far from all.",
        "Ranks with the widest gap in seeds {finding} on average, tested alone in seeds "
        "{testing}, p: {each}. By chance one in {by_chance:.0f} would be at most {level:g}; two "
        "circuits of one network are not independent.",
        _rank_elsewhere,
        seeds=5,
        null="simulated spectra without a gap, at a rank that was fixed on other seeds",
        refuted_by="further seeds with a gap at that rank in three quarters of the tests, or in no "
        "more than a quarter.",
        replaces="a gap below about rank 22 in each task, from looking. And then: what two seeds "
        "suggest does not hold in others, which half of the tests do not say.",
    ),
    Claim(
        "the-union-counts-both",
        "Laid together, two circuits of one scale have one gap, below as many eigenvalues as both "
        "have above theirs: it counts them and does not part them.",
        "Rank of all, seed by seed: {sums} (p at most {p:.2g}, search included); with one trunk "
        "it is above the sum by {trunk}. The best cut of the top 100 has an adjusted Rand index of "
        "{best}.",
        _together,
        seeds=5,
        null="simulated spectra without a gap, searched in the same way",
        refuted_by="a further seed in which the rank is not the sum, or a cut parts the circuits.",
        replaces="the union hides the gaps: it had been searched to rank 40 alone.",
    ),
    Claim(
        "not-two-a-frequency",
        "The rank is not twice the number of frequencies: where a network has fewer of them than "
        "its softmax has dimensions, there is no gap below two for each.",
        "Networks that know all pairs ({accuracy:.0%} right), K = 3 and 2 waves for each residue: "
        "p ≤ 0.05 at rank 2K in {twice} of {networks} circuits (least p {least:.2f}), at C − 1 in "
        "{softmax}. With all frequencies 2K = C − 1; there is a gap at that rank before training "
        "in {untrained} of {before} circuits, and at the end in {all} of {of} tests.",
        _frequencies,
        seeds=3,
        null="simulated spectra without a gap, each predicted rank by itself",
        refuted_by="networks with K frequencies, 2K < C − 1, and a gap at rank 2K.",
    ),
)
