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


def _sorted_gaps(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    tested = main.tested_gaps(0.0, "end")
    trunk = main.tested_gaps(1.0, "end")
    own = [gap for _, gaps in tested[:-1] for gap in gaps]
    return Verdict(
        bool(max(gap.p for gap in own) <= LEVEL),
        {
            "finding": " and ".join(map(str, FINDING)),
            "testing": ", ".join(map(str, TESTING)),
            "ranks": " and ".join(str(rank) for rank, _ in tested[:-1]),
            "scores": extent([gap.score for gap in own], ".1f"),
            "p": max(gap.p for gap in own),
            "trunk": "; ".join(f"rank {rank}: p {_ps(gaps)}" for rank, gaps in trunk[:-1]),
        },
    )


def _together(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    *own, (rank, gaps) = main.tested_gaps(0.0, "end")
    total = sum(each for each, _ in own)
    best = main.statistic("best", 0.0, "end")[:, 1]
    return Verdict(
        bool(rank == total and max(gap.p for gap in gaps) <= LEVEL and best.max() < LITTLE),
        {
            "rank": rank,
            "sum": " + ".join(str(each) for each, _ in own),
            "p": _ps(gaps),
            "best": extent(best, ".2f"),
        },
    )


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
    return ", ".join(f"{gap.p:.3f}" for gap in gaps)


CLAIMS = (
    Claim(
        "sort-then-read",
        "Sorted by the outputs that they move, each uncoupled circuit’s eigenvalues have a gap of "
        "their own, at one rank in all seeds.",
        "The ranks, {ranks}, were looked for in seeds {finding} and tested alone in seeds "
        "{testing}: scores {scores}, p at most {p:.3f}. With one trunk ranks found likewise: "
        "{trunk}.",
        _sorted_gaps,
        seeds=5,
        null="simulated spectra without a gap, at a rank that was fixed on other seeds",
        refuted_by="a further seed with p above 0.05 at one of these ranks.",
    ),
    Claim(
        "the-union-counts-both",
        "Laid together, two circuits of one scale have a gap as well: below as many eigenvalues "
        "as both have above theirs. It counts them and does not part them.",
        "Rank {rank} = {sum}; p {p} in the seeds that did not find it. The best cut of the top 100 "
        "has an adjusted Rand index of {best}.",
        _together,
        seeds=5,
        null="simulated spectra without a gap, at a rank that was fixed on other seeds",
        refuted_by="a further seed without the gap at that rank, or a cut that parts the circuits.",
        replaces="the union hides the gaps: it was searched to rank 40 alone.",
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
