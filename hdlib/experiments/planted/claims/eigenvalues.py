"""Claims about eigenvalues: clusters, scales, spacings and zeros."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.planted.predictions import predicted
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.results import When
from hdlib.experiments.planted.statistics import RHO_WORDS, RHOS

CHECKPOINTS: tuple[When, ...] = ("untrained", "memorised", "end")
EQUAL = ("main", "relu", "all pairs", "few waves", "fewer waves")
"""Grids in which two circuits of nearly one size have losses of one scale."""
LITTLE = 0.1
"""An adjusted Rand index below it is next to nothing."""
MIXED = 0.1
"""Factor between circuits below which purities are one to the precision that they are kept in."""
MOST = 0.8


def _no_circuits(found: PublishedPlanted) -> Verdict:
    best, two = (
        {
            name: np.array([found[name].statistic(what, 0.0, when)[:, 0] for when in CHECKPOINTS])
            for name in EQUAL
        }
        for what in ("best", "two")
    )
    null = np.array([found["main"].statistic("null", 0.0, when)[:, 0] for when in CHECKPOINTS])
    above = best["main"] > null
    highest = max(values.max() for values in best.values())
    return Verdict(
        bool(highest < LITTLE and max(abs(values).max() for values in two.values()) < LITTLE),
        {
            "main": extent(best["main"].ravel(), ".3f"),
            "relu": extent(best["relu"].ravel(), ".3f"),
            "others": extent(
                np.concatenate([best[n].ravel() for n in EQUAL if n not in ("main", "relu")]), ".3f"
            ),
            "two": extent(np.concatenate([values.ravel() for values in two.values()]), ".3f"),
            "null": extent(null.ravel(), ".3f"),
            "above": int(above.sum()),
            "of": above.size,
            "spectra": sum(values.size for values in best.values()),
        },
    )


def _scales(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    scaled = {when: main.statistic("scaled", 0.0, when) for when in ("untrained", "end")}
    one, ten, last = (RHOS.index(rho) for rho in (1.0, 10.0, 1e6))
    logs = np.stack([each[:, :, 1, 0] for each in scaled.values()])
    pairs = np.stack([each[:, :, 1, 1] for each in scaled.values()])
    plain = np.stack([each[:, :, 0, 1] for each in scaled.values()])
    trained, before = (
        found["scaled"].statistic("best", 0.0, when)[:, 0] for when in ("end", "untrained")
    )
    return Verdict(
        bool(
            logs[..., one].max() < LITTLE
            and logs[..., last].min() > MOST
            and pairs[..., : ten + 1].max() < LITTLE
            and plain.max() < LITTLE
            and trained.max() < LITTLE < before.min()
        ),
        {
            "ten": extent(logs[..., ten].ravel(), ".2f"),
            "most": extent(logs[..., last].ravel(), ".2f"),
            "pairs": ", ".join(
                f"{(pairs[..., at] > MOST).mean():.0%} at {RHO_WORDS[at]}"
                for at in range(2, last + 1)
            ),
            "plain": f"{plain.max():.3f}",
            "before": extent(before, ".2f"),
            "trained": extent(trained, ".3f"),
        },
    )


def _strangers(found: PublishedPlanted) -> Verdict:
    grids = [found[name] for name in EQUAL]
    values = np.concatenate(
        [grid.statistic("neighbours", 0.0, when) for grid in grids for when in CHECKPOINTS]
    )
    main = {when: found["main"].statistic("neighbours", 0.0, when) for when in CHECKPOINTS}
    sizes = tuple(found["main"].statistic("sizes", 0.0, "end")[0].tolist())
    goe, wishart = predicted(sizes, None), predicted(sizes, 2.0)
    return Verdict(
        bool((values[:, 2] > values[:, 1]).all() and values[:, 3].max() < 0.5),
        {
            **{str(when): extent(found[:, 2], ".0%") for when, found in main.items()},
            **{f"all_{when}": extent(found[:, 1], ".0%") for when, found in main.items()},
            "every": extent(values[:, 2], ".0%"),
            "all_every": extent(values[:, 1], ".0%"),
            "spectra": len(values),
            "wider": extent(values[:, 3], ".2f"),
            "goe": goe.tightest,
            "wishart": wishart.tightest,
            "goe_wider": goe.wider,
            "wishart_wider": wishart.wider,
        },
    )


def _ratio(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    mean = np.array(
        [
            [main.statistic("neighbours", alpha, when)[:, 0].mean() for alpha in main.alphas]
            for when in ("untrained", "end")
        ]
    )
    purity = [main.unit_purity(1.0, when).mean() for when in ("untrained", "end")]
    own = np.concatenate([main.statistic("own_ratios", 0.0, when) for when in CHECKPOINTS])
    return Verdict(
        bool(mean[:, 0].max() < 0.46 and mean[:, -1].min() > 0.5 and np.ptp(mean[:, -1]) < 0.03),
        {
            "alphas": ", ".join(f"{alpha:g}" for alpha in main.alphas),
            "untrained": ", ".join(f"{value:.2f}" for value in mean[0]),
            "end": ", ".join(f"{value:.2f}" for value in mean[1]),
            "before": purity[0],
            "after": purity[1],
            "own": own.mean(),
        },
    )


def _zeros(found: PublishedPlanted) -> Verdict:
    main, apart, told = found["main"], [], {}
    for alpha in main.alphas:
        for when in CHECKPOINTS:
            counts, symmetries = main.zeros(alpha, when)
            told[alpha == 0] = symmetries
            apart += (counts - symmetries).tolist()
    differ = np.array(apart)
    return Verdict(
        bool(differ.min() >= 0 and (differ == 0).mean() > 0.8),
        {
            "uncoupled": told[True],
            "coupled": told[False],
            "same": int((differ == 0).sum()),
            "spectra": len(differ),
            "most": int(differ.max()),
        },
    )


def _mixing(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    alphas = [alpha for alpha in main.alphas if alpha >= MIXED]
    values = np.array([main.statistic("mixing", alpha, "end") for alpha in alphas])
    return Verdict(
        bool(values.min() > 0),
        {
            "mixed": MIXED,
            "each": "; ".join(
                f"{extent(row, '.2f')} at α = {alpha:g}"
                for alpha, row in zip(alphas, values, strict=True)
            ),
        },
    )


CLAIMS = (
    Claim(
        "gaps-do-not-part-circuits",
        "No cut of the eigenvalues, at any resolution, finds two circuits of one scale that share "
        "nothing.",
        "Adjusted Rand index of the best of all cuts with α = 0: {main} with quadratic units, "
        "{relu} with ReLU, {others} in networks that know all pairs; with two clusters {two}. "
        "Permuted labels, searched in the same way, stay below {null} in 95% of the draws; the "
        "best cut is above that in {above} of {of} spectra with quadratic units, and next to "
        "nothing all the same. {spectra} spectra.",
        _no_circuits,
        seeds=5,
        null="labels permuted over the eigenvalues, with the same search",
        refuted_by="two uncoupled circuits of one size and equal losses, and a cut with an index "
        "above 0.1.",
    ),
    Claim(
        "gaps-part-scales",
        "Scale parts them: multiply one of the losses, and the eigenvalues fall apart, by a lot "
        "and in log λ only; and a difference that training has seen is gone at its end.",
        "Best cut of log λ with ρ = 10: {ten}, with 10⁶: {most}. The widest gap of log λ is the "
        "boundary (index above 0.8 with two clusters) in {pairs} of the spectra; of λ itself "
        "never (at most {plain}). Ten times the loss from the start: best cut {before} before "
        "training and {trained} after it.",
        _scales,
        seeds=5,
        null="the same spectra with ρ = 1",
        refuted_by="a seed in which the widest gap is the boundary at ρ = 10, or in which it is "
        "not one even at 10⁶.",
    ),
    Claim(
        "strangers-are-close",
        "Close together lie strangers: of neighbouring eigenvalues with the smallest spacings, "
        "more belong to two circuits than of all neighbours, as in superposed random matrices, "
        "whose own eigenvalues repel each other.",
        "Of the tightest 5% of spacings of log λ, these are between two circuits: {untrained} "
        "before training, {memorised} where they have memorised, and {end} at the end; of all "
        "spacings {all_untrained}, {all_memorised} and {all_end}. In {spectra} spectra of all "
        "kinds it is {every}, against {all_every}, and more in each. A spacing between circuits is "
        "the wider one with probability {wider}. Two random matrices laid over one another, "
        "nothing fitted, have {goe:.0%} and {goe_wider:.2f} (GOE), {wishart:.0%} and "
        "{wishart_wider:.2f} (Wishart).",
        _strangers,
        seeds=5,
        null="all spacings of the same spectra; superposed random matrices as the prediction",
        refuted_by="two uncoupled circuits of one scale whose closest neighbours are of two no "
        "more often than all neighbours.",
    ),
    Claim(
        "ratio-sees-wiring",
        "The mean spacing ratio tells one trunk from two circuits that share nothing, and does not "
        "tell whether the trunk’s circuits have been learned.",
        "Means over seeds for α = {alphas}: {untrained} before training, {end} at its end; each "
        "circuit alone {own:.2f}. Weaker wiring it hardly shows, or after training only. With one "
        "trunk it stays while the purity of units goes from {before:.2f} to {after:.2f}.",
        _ratio,
        seeds=5,
        null="one random matrix (0.53) and two (0.42)",
        refuted_by="means that are no higher at α = 1 than at 0, or that change as a trunk "
        "specialises.",
    ),
    Claim(
        "zeros-are-symmetries",
        "The tightest cluster of all is no circuit but symmetries, counted before anything was "
        "computed.",
        "Zeros of the Hessian: {uncoupled} expected at α = 0 and {coupled} at others, two for "
        "each unit and task it reads, and what softmaxes do not see; exactly so many in {same} of "
        "{spectra} spectra, at most {most} more in the others.",
        _zeros,
        seeds=5,
        null="none: the count is exact",
        refuted_by="a spectrum with fewer zeros.",
    ),
    Claim(
        "close-ones-mix",
        "Where circuits are wired together by a factor of {mixed:g} or more, eigenvectors mix more "
        "that have a close neighbour.",
        "Rank correlation of an eigenvector’s purity with the distance of its nearest eigenvalue, "
        "at the end: {each}.",
        _mixing,
        seeds=5,
        null="no correlation",
        refuted_by="a seed in which it is not positive.",
    ),
)
