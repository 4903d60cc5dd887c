"""The chapter's tables, of its results."""

from __future__ import annotations

import numpy as np

from hdlib.display import Markdown, extent, table
from hdlib.experiments.onset.events import (
    EVENTS,
    KNOWN,
    OUT,
    SEEN,
    median_onset,
    onsets,
)
from hdlib.experiments.onset.network import FollowedNetwork
from hdlib.experiments.onset.results import OnsetResults
from hdlib.training import OTHERS

NEVER = "–"


def network_table(results: OnsetResults) -> Markdown:
    """When each network did what, and the gap that it has at the end."""
    groups = {"": results.followed, "few pairs, ": results.controls}
    rows = [
        (f"{few}seed {network.config.seed}", *_row(network))
        for few, group in groups.items()
        for network in group
    ]
    header = (
        "network",
        "others right",
        "half at step",
        "key frequencies",
        "seen at steps",
        "gap at step",
        "its rank",
        "predicted",
    )
    return table(header, rows, lists=("key frequencies", "seen at steps"))


def _row(network: FollowedNetwork) -> tuple[str, ...]:
    gap = network.gaps[-1]
    return (
        f"{network.column(OTHERS)[-1]:.0%}",
        _step(median_onset(network, KNOWN)),
        ", ".join(map(str, network.frequencies)),
        ", ".join(map(_step, onsets(network, SEEN))),
        _step(median_onset(network, OUT)),
        f"{gap.rank}" if gap.stands_out else NEVER,
        f"{network.predicted_rank}",
    )


def _step(step: float) -> str:
    return f"{step:,.0f}" if np.isfinite(step) else NEVER


def lead_table(results: OnsetResults) -> Markdown:
    """Of each event the median step over networks, and its lead on half of the other pairs."""
    rows = []
    for event in EVENTS:
        steps = np.array([median_onset(network, event) for network in results.followed])
        known = np.array([median_onset(network, KNOWN) for network in results.followed])
        reached = np.isfinite(steps) & np.isfinite(known)
        lead = known[reached] - steps[reached]
        rows.append(
            (
                event,
                f"{reached.sum()} of {len(steps)}",
                _step(float(np.median(steps))),
                f"{np.median(lead):+,.0f}" if len(lead) else NEVER,
                extent(lead, "+,.0f") if len(lead) else NEVER,
            )
        )
    return table(("event", "networks", "median step", "lead", "from, to"), rows)


def halfway_table(results: OnsetResults) -> Markdown:
    """Learning coefficients of single frequencies, where half of the other pairs are right."""
    rows = []
    for network in (network for p in results.grid.moduli for network in results.at(p).followed):
        own, other = network.halfway("frequencies"), network.halfway("others")
        told = (NEVER,) * 4
        if len(own) and len(other):
            each = ", ".join(f"{value:.2g}" for value in own)
            told = (each, f"{own.mean():.2g}", f"{other.mean():.2g}", f"{network.keys_flatter:.0%}")
        rows.append((network.config.p, network.config.seed, *told))
    means = "their mean", "mean of others", "pairs with key lower"
    header = ("p", "seed", "key frequencies", *means)
    return table(header, rows, lists=("key frequencies",))
