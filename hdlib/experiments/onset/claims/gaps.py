"""Claims about the rank of the gap: heads and twice the key frequencies, out of sample."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.onset.claims.order import LEVEL
from hdlib.experiments.onset.network import FollowedNetwork
from hdlib.experiments.onset.results import PublishedOnset

FOUND_ON = 0
"""Seed of the network in which the second rule was found; it is tested on the others."""


def doublets_above(network: FollowedNetwork) -> int:
    """One eigenvalue for each head, and two for each doublet in the span above the gap."""
    return network.config.n_heads + 2 * int(network.detached()[-1].sum())


def _predicted(published: PublishedOnset) -> Verdict:
    networks = [network for network in published.generalised if network.stands_out[-1]]
    ranks = np.array([network.gaps[-1].rank for network in networks])
    predicted = np.array([network.predicted_rank for network in networks])
    tests = [test for network in published.generalised if (test := network.predicted_gap())]
    passed = sum(test.p <= LEVEL for test in tests)
    hits = int((ranks == predicted).sum())
    return Verdict(
        bool(hits < len(networks) / 2),
        {
            "pairs": ", ".join(f"{r} for {q}" for r, q in zip(ranks, predicted, strict=True)),
            "hits": hits,
            "all": len(networks),
            "passed": passed,
            "tests": len(tests),
            "chance": float((ranks[:, None] == predicted).mean()) if len(ranks) else np.nan,
        },
    )


def _above(published: PublishedOnset) -> Verdict:
    networks = [
        network
        for network in published.generalised
        if network.stands_out[-1] and network.config.seed != FOUND_ON
    ]
    ranks = np.array([network.gaps[-1].rank for network in networks])
    counted = np.array([doublets_above(network) for network in networks])
    hits = int((ranks == counted).sum())
    return Verdict(
        bool(hits > len(networks) / 2),
        {
            "pairs": ", ".join(f"{r} for {q}" for r, q in zip(ranks, counted, strict=True)),
            "hits": hits,
            "all": len(networks),
            "off": extent(ranks - counted, "+d") if len(ranks) else "none",
        },
    )


CLAIMS = (
    Claim(
        "rank-not-as-predicted",
        "The gap is not below one eigenvalue for each head and two for each key frequency, as the "
        "networks of the grokking chapter had suggested.",
        "Rank of the gap at the end, for the rank that was predicted: {pairs}; {hits} of {all} "
        "networks have it, {chance:.0%} would with another network’s prediction. Tested alone, "
        "the gap at the predicted rank stands out in {passed} of {tests}.",
        _predicted,
        seeds=10,
        null="the prediction for another network; simulated spectra without a gap",
        refuted_by="further seeds, more than half of which have the gap at the predicted rank.",
    ),
    Claim(
        "rank-counts-what-is-above",
        "It is below one for the head and two for each frequency whose doublet lies above it.",
        "Found on seed 0; on the others, rank for count: {pairs}: {hits} of {all}. The rank less "
        "the count is {off}.",
        _above,
        seeds=9,
        null="none: frequencies that lie above the gap cannot be more than fit",
        refuted_by="further seeds, more than half of which have another rank.",
    ),
)
