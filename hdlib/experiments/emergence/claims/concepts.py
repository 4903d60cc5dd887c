"""Claims about what is read off the layers of networks that generalise, and off others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.probing import RELABELLED, SHUFFLED, TRAINED, UNTRAINED
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.results import CHANCE, EmergenceResults, interval

Array = NDArray[np.float64]

PARITY, LEGENDRE = "parity of the sum", "Legendre symbol of the sum"
SUMS = (PARITY, LEGENDRE)
GENERALISED = 0.95
WIDE = 64
LAST_HIDDEN = -2
"""Position among the layers: before the logits."""


def _generalise(found: PublishedEmergence) -> Verdict:
    results = found.main
    wide = results.widths >= WIDE
    test, reached = results.logged("test_accuracy"), results.steps_to(GENERALISED)
    return Verdict(
        bool(test[wide].min() >= GENERALISED and test[~wide].min() < GENERALISED),
        {
            "wide": WIDE,
            "narrow": extent(test[~wide].ravel(), ".0%"),
            "others": extent(test[wide].ravel(), ".1%"),
            "steps": extent(reached[wide].ravel(), ",.0f"),
        },
    )


def _nothing_before(found: PublishedEmergence) -> Verdict:
    results = found.main
    before = np.array([results.scores(name, trained=False) for name in SUMS])
    shuffled = np.array([results.scores(name, SHUFFLED)[..., 1:] for name in SUMS])
    symbol = results.scores(LEGENDRE)[..., LAST_HIDDEN:]
    return Verdict(
        bool(
            before.max() < CHANCE + 0.02
            and np.abs(shuffled - CHANCE).max() < 0.03
            and symbol.min() > CHANCE + 0.06
        ),
        {
            "inputs": extent(before[..., 0].ravel(), ".2f"),
            "before": extent(before[..., 1:].ravel(), ".2f"),
            "shuffled": extent(shuffled.ravel(), ".2f"),
            "symbol": extent(symbol.ravel(), ".2f"),
        },
    )


def selectivity(results: EmergenceResults, name: str) -> Array:
    """Score of a concept less that of its control task on the last hidden layer, (W, S)."""
    scores = (results.scores(name), results.scores(name, RELABELLED))
    return (scores[0] - scores[1])[..., LAST_HIDDEN]


def _no_more_than_a_control(found: PublishedEmergence) -> Verdict:
    values: dict[str, object] = {}
    holds = True
    for key, name in (("parity", PARITY), ("symbol", LEGENDRE)):
        apart = selectivity(found.main, name).reshape(1, -1)
        mean, half = (float(each[0]) for each in interval(apart))
        holds &= abs(mean) < half
        values |= {
            f"{key}_low": mean - half,
            f"{key}_high": mean + half,
            f"{key}_range": extent(apart.ravel(), "+.2f"),
        }
    return Verdict(holds, values)


def _one_wave(found: PublishedEmergence) -> Verdict:
    results = found.main
    wave = results.waves()[..., LAST_HIDDEN, -1, 1]
    parity, symbol = (results.scores(name)[..., LAST_HIDDEN] for name in SUMS)
    without = (wave < 0.1) & (results.logged("test_accuracy") >= GENERALISED)
    order, null = (_within_widths(wave, scores) for scores in (parity, symbol))
    return Verdict(
        bool(
            order > 0.9 and null < 0.6 and without.sum() >= 3 and (parity < symbol)[without].all()
        ),
        {
            "frequency": results.grid.p // 2,
            "order": order,
            "null": null,
            "without": int(without.sum()),
            "parity": extent(parity[without], ".2f"),
            "symbol": extent(symbol[without], ".2f"),
            "most": parity.max(),
        },
    )


def _within_widths(first: Array, second: Array) -> float:
    """Rank correlation over all networks of what each has above the mean of its width, (W, S)."""
    above = [rankdata(values - values.mean(1, keepdims=True)) for values in (first, second)]
    return float(np.corrcoef(above)[0, 1])


def _with_width(found: PublishedEmergence) -> Verdict:
    results = found.main
    symbol = results.scores(LEGENDRE)[..., LAST_HIDDEN].mean(1)
    control = np.mean([results.scores(n, RELABELLED)[..., LAST_HIDDEN] for n in SUMS], 0).mean(1)
    return Verdict(
        bool(
            (np.diff(symbol) > -0.01).all()
            and symbol[-1] > symbol[0] + 0.1
            and np.abs(symbol - control).max() < 0.03
        ),
        {
            "symbol": ", ".join(f"{value:.2f}" for value in symbol),
            "control": ", ".join(f"{value:.2f}" for value in control),
        },
    )


def _not_memory(found: PublishedEmergence) -> Verdict:
    results = found.main
    apart = np.array(
        [
            (results.scores(n, rows=TRAINED) - results.scores(n, rows=UNTRAINED))[..., LAST_HIDDEN]
            for n in SUMS
        ]
    )
    return Verdict(
        bool(apart.max() < 0.05 and apart.mean() < 0.02),
        {"most": apart.max(), "mean": apart.mean()},
    )


CLAIMS = (
    Claim(
        "generalise",
        "From width {wide} on all networks generalise; of the narrower ones some do.",
        "Test accuracy at the end: {others} from width {wide} on, with 95% after {steps} steps, "
        "and {narrow} below. No test pair has its mirror among the training pairs.",
        _generalise,
        seeds=3,
        null="none",
        refuted_by="a seed of width 64 to 256 that stays below 95% in this setting.",
    ),
    Claim(
        "nothing-before-training",
        "What is read of the sum comes with training: neither the inputs nor any layer of an "
        "untrained network has parity or Legendre symbol; the last two layers of every trained one "
        "have some of the latter.",
        "Highest and lowest scores: inputs {inputs}, untrained layers {before}, shuffled labels "
        "{shuffled}; Legendre symbol after training {symbol}. (Below one half: what a residue "
        "has more of among fitted pairs it has less of among the others.)",
        _nothing_before,
        seeds=3,
        null="untrained networks of the same width; shuffled labels",
        refuted_by="an untrained network of up to 256 units with a score above 0.52.",
    ),
    Claim(
        "no-more-than-a-control",
        "On average over networks neither parity nor Legendre symbol is read any better than a "
        "meaningless question about the sum.",
        "Score less that of the control task, 95% intervals over all networks: parity "
        "{parity_low:+.3f} to {parity_high:+.3f} (single networks {parity_range}), Legendre symbol "
        "{symbol_low:+.3f} to {symbol_high:+.3f} ({symbol_range}).",
        _no_more_than_a_control,
        seeds=3,
        null="the same question about randomly permuted residues",
        refuted_by="more seeds with which either interval lies above zero.",
    ),
    Claim(
        "one-wave",
        "Whether the parity of the sum can be read depends on one frequency: networks without "
        "frequency {frequency} add as well and have less of it than of the Legendre symbol.",
        "Among networks of one width the rank correlation of its score with the R² of that sine is "
        "{order:.2f}, of the Legendre symbol {null:.2f}. In the {without} that generalise with an "
        "R² below 0.1 parity scores {parity}, the Legendre symbol {symbol} and more in each; the "
        "highest parity is {most:.2f}.",
        _one_wave,
        seeds=3,
        null="the Legendre symbol, whose variance is spread evenly over all frequencies",
        refuted_by="a network that generalises, does not have the frequency, and of which parity "
        "is read as well as the Legendre symbol.",
    ),
    Claim(
        "decodable-with-width",
        "The Legendre symbol becomes easier to read with width, and a meaningless question just as "
        "much.",
        "Means over seeds by width: {symbol}; control {control}.",
        _with_width,
        seeds=3,
        null="the control task",
        refuted_by="seeds in which wide networks score no higher than those of width 16.",
    ),
    Claim(
        "not-memory",
        "What is read is no memory of the pairs: it is read as well, or nearly, off test pairs of "
        "the network.",
        "On training pairs the scores of the two concepts of the sum are higher by {mean:.3f} on "
        "average and {most:.3f} at most.",
        _not_memory,
        seeds=3,
        null="held-out pairs that the network was trained on",
        refuted_by="a network that generalises and whose score on test pairs is lower by more than "
        "0.05.",
    ),
)
