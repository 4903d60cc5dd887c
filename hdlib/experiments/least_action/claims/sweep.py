"""Claims about learning rates and weight decays."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.claims.words import count_of, more_by_chance
from hdlib.experiments.least_action.results import (
    PublishedLeastAction,
    TrainedNetwork,
    generalised_steps,
)


def _rates(results: PublishedLeastAction) -> Verdict:
    from scipy.stats import kendalltau  # here, as it takes a moment

    grid = results.grid
    by_lr = {lr: generalised_steps(networks) for lr, networks in _by_lr(results).items()}
    reached = {lr: np.isfinite(steps) for lr, steps in by_lr.items()}
    middle = grid.sweep_lrs[len(grid.sweep_lrs) // 2]
    here = reached[middle]
    there = np.concatenate([found for lr, found in reached.items() if lr != middle])
    settings = [arm.configs[0] for arm in grid.sweep]
    pace = [config.lr * config.weight_decay for config in settings]
    medians = [np.median(generalised_steps(results.of(arm))) for arm in grid.sweep]
    tau, order = map(float, kendalltau(pace, medians))
    steps = np.concatenate([*by_lr.values()])
    tenth = grid.sweep_steps // 10
    return Verdict(
        bool(here.all() and there.mean() < 0.5 and order > 0.05),
        {
            "p": grid.sweep_p,
            "pairs": int(grid.train_fraction * grid.sweep_p**2),
            "steps": grid.sweep_steps,
            "middle": middle,
            "there": count_of(there),
            "each": "; ".join(f"{lr:g}: {count_of(found)}" for lr, found in reached.items()),
            "luck": more_by_chance(here, there),
            "when": extent(by_lr[middle], ",.0f"),
            "tenth": tenth,
            "early": int((steps <= tenth).sum()),
            "reached": here.sum() + there.sum(),
            "count": len(steps),
            "tau": tau,
            "order": order,
            "settings": len(settings),
        },
    )


def _by_lr(results: PublishedLeastAction) -> dict[float, list[TrainedNetwork]]:
    """Networks of the sweep by learning rate."""
    found: dict[float, list[TrainedNetwork]] = {lr: [] for lr in results.grid.sweep_lrs}
    for arm in results.grid.sweep:
        found[arm.configs[0].lr] += results.of(arm)
    return found


RATES = Claim(
    name="learning-rate-decides",
    says="At p = {p}, with {pairs} pairs to train on, the learning rate decides which transformers "
    "of the sweep come to 95% of the other test pairs within {steps:,} steps: with {middle:g} all "
    "do, with a third and with three times of it {there}. How fast weight decay acts, lr · λ a "
    "step, sets no order.",
    evidence="By learning rate: {each} (p = {luck:.1g}, Fisher's exact test of the middle one "
    "against the others, one-sided); with the middle one at step {when}. These are {reached} of "
    "{count}; by step {tenth:,} it is {early}. Kendall's τ between lr · λ and the median of the "
    "steps is {tau:.2f} over {settings} settings (p = {order:.2f}; settings at which most seeds "
    "do not come to it last).",
    decide=_rates,
    seeds=3,
    null="the other learning rates; the settings in any order",
    refuted_by="a network at the middle learning rate that does not come to 95%, half of those at "
    "the others that do, or an order by lr · λ (p below 0.05).",
    replaces="this chapter, which had followed them for a tenth of the steps: most do not come to "
    "95%. And, expected before they were trained for all of them: the faster weight decay acts, "
    "the sooner.",
)


def _lost(results: PublishedLeastAction) -> Verdict:
    kept = {
        lr: [n.known_afterwards for n in networks if n.generalised is not None]
        for lr, networks in _by_lr(results).items()
    }
    every = np.array([share for shares in kept.values() for share in shares])
    return Verdict(
        bool((every < 1).mean() > 0.5),
        {
            "below": int((every < 1).sum()),
            "known": len(every),
            "each": "; ".join(
                f"{lr:g}: {extent((1 - share for share in shares), '.0%')} ({len(shares)})"
                for lr, shares in kept.items()
                if shares
            ),
        },
    )


LOST = Claim(
    name="known-is-lost-again",
    says="A transformer of the sweep that has come to 95% of the other test pairs does not keep "
    "them: {below} of {known} are below it again later on.",
    evidence="Share of the later rows of the history at which they are, by learning rate (and "
    "number of networks): {each}.",
    decide=_lost,
    seeds=3,
    null="none",
    refuted_by="half of them that stay.",
    replaces="expected before these networks were trained for so long: with the largest learning "
    "rate for longer than with the smallest. Too few come to 95% with either to tell.",
)

CLAIMS = (RATES, LOST)
