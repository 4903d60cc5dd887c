"""Claims about learning rates and weight decays."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.results import PublishedLeastAction, generalised_steps


def _late(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    steps = np.concatenate([generalised_steps(results.of(arm)) for arm in grid.sweep])
    reached, tenth = steps[np.isfinite(steps)], grid.sweep_steps // 10
    early = int((steps <= tenth).sum())
    return Verdict(
        bool(len(reached) > len(steps) / 2 > early),
        {
            "p": grid.sweep_p,
            "pairs": int(grid.train_fraction * grid.sweep_p**2),
            "steps": grid.sweep_steps,
            "count": len(steps),
            "reached": len(reached),
            "each": extent(reached, ",.0f"),
            "tenth": tenth,
            "early": early,
        },
    )


LATE = Claim(
    name="small-moduli-take-long",
    says="At p = {p}, with {pairs} pairs to train on, most transformers of the sweep come to 95% "
    "of the other test pairs within {steps:,} steps, and few within {tenth:,}.",
    evidence="{reached} of {count} do, at step {each}, and {early} by step {tenth:,}.",
    decide=_late,
    seeds=3,
    null="none",
    refuted_by="half of the networks that do not come to 95%, or that do within a tenth of the "
    "steps.",
    replaces="this chapter, which had followed them for that tenth: most do not come to 95%.",
)


def _lost(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    networks = [n for arm in grid.sweep for n in results.of(arm)]
    kept = np.array([n.known_afterwards for n in networks])
    lrs = np.array([n.config.lr for n in networks])
    known = np.isfinite(kept)
    by_lr = {lr: 1 - kept[known & (lrs == lr)] for lr in grid.sweep_lrs}
    if not all(len(lost) for lost in by_lr.values()):
        return Verdict(False, {}, "At one of the learning rates no network came to 95%.")
    medians = [float(np.median(lost)) for lost in by_lr.values()]
    return Verdict(
        bool((kept[known] < 1).mean() > 0.5 and medians[-1] > medians[0]),
        {
            "below": int((kept[known] < 1).sum()),
            "known": int(known.sum()),
            "each": "; ".join(
                f"{lr:g}: {median:.0%} ({extent(lost, '.0%')})"
                for (lr, lost), median in zip(by_lr.items(), medians, strict=True)
            ),
        },
    )


LOST = Claim(
    name="known-is-lost-again",
    says="Most transformers of the sweep that have come to 95% of the other test pairs are below "
    "it again later on, and with the largest learning rate for longer than with the smallest.",
    evidence="{below} of {known} are. Share of the later rows of the history at which they are, by "
    "learning rate, median of the networks (and extent): {each}.",
    decide=_lost,
    seeds=3,
    null="the smallest learning rate",
    refuted_by="most of them that stay, or a largest learning rate whose median is not above that "
    "of the smallest.",
)


def _pace(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    settings = [arm.configs[0] for arm in grid.sweep]
    pace = [config.lr * config.weight_decay for config in settings]
    medians = [float(np.median(generalised_steps(results.of(arm)))) for arm in grid.sweep]
    order = kendalltau(pace, medians, alternative="less")
    return Verdict(
        bool(order.pvalue < 0.05),
        {"settings": len(settings), "tau": order.statistic, "p": order.pvalue},
    )


PACE = Claim(
    name="decay-sets-the-pace",
    says="The faster weight decay acts, lr · λ a step, the sooner a setting comes to 95% of the "
    "other test pairs.",
    evidence="Kendall's τ between lr · λ and the median of the steps is {tau:.2f} over {settings} "
    "settings (p = {p:.2g}, one-sided; settings at which most seeds do not come to it are last).",
    decide=_pace,
    seeds=3,
    null="the settings in any order",
    refuted_by="p above 0.05.",
)

CLAIMS = (LATE, LOST, PACE)
