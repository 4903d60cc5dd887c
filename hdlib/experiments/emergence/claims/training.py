"""Claims about the followed width: what comes first, and what the spectrum has to do with it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.emergence.claims.concepts import LAST_HIDDEN, LEGENDRE, PARITY
from hdlib.experiments.emergence.probing import RELABELLED, TRUE
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.training import SINGLE

LITTLE = 0.05
"""Test accuracy below which a network has not generalised."""
SPACING = 200
"""Steps between checkpoints: lags below half of it are none."""


def _ahead(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    symbol, control, other = (
        followed.lags(followed.scores(name, kind))[:, LAST_HIDDEN]
        for name, kind in ((LEGENDRE, TRUE), (PARITY, RELABELLED), (LEGENDRE, RELABELLED))
    )
    controls = np.concatenate([control, other])
    return Verdict(
        bool(
            symbol.max() < -SPACING / 2
            and (controls < -SPACING / 2).sum() >= len(controls) / 2
            and controls.min() < symbol.max()
        ),
        {
            "symbol": _sides(symbol),
            "control": _sides(control),
            "other": _sides(other),
            "parity": _sides(followed.lags(followed.scores(PARITY))[:, LAST_HIDDEN]),
        },
    )


def _waves(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    lags = followed.lags(followed.mean_read)[:, LAST_HIDDEN]
    symbol = followed.lags(followed.scores(LEGENDRE))[:, LAST_HIDDEN]
    return Verdict(
        bool(np.abs(lags).max() < SPACING),
        {
            "lags": _sides(lags),
            "told": int((np.abs(lags) > SPACING / 2).sum()),
            "seeds": len(lags),
            "spacing": SPACING,
            "behind": _sides(lags - symbol),
            "count": _each(followed.read.sum(1), "d"),
            "all": followed.read.shape[1],
        },
    )


def _outliers(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    accuracy = followed.logged("test_accuracy", followed.spectrum_steps)
    before = accuracy <= LITTLE
    outliers = followed.outliers
    return Verdict(
        bool(not outliers[before].any() and outliers[:, -1].min() > 0),
        {
            "little": LITTLE,
            "before": int(before.sum()),
            "end": _each(outliers[:, -1], "d"),
            "p": max(gaps[-1].p for gaps in followed.gaps),
            "first": _each(followed.settled, ",d"),
            "key": _each(followed.key.sum(1), "d"),
        },
    )


def _one_each(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    matched, distinct = [], []
    for outliers, moved, key in zip(
        followed.outliers[:, -1], followed.moved[:, -1], followed.key, strict=True
    ):
        strongest = moved[:outliers].argmax(1).tolist()
        matched.append(sorted(strongest) == np.flatnonzero(key).tolist())
        distinct.append(f"{len(set(strongest))} in {outliers}")
    return Verdict(
        sum(matched) == 1,
        {"seed": matched.index(True) if any(matched) else "none", "distinct": ", ".join(distinct)},
    )


def _single(found: PublishedEmergence) -> Verdict:
    followed = found.followed
    ours, random = (each.max(3) for each in (followed.moved, followed.moved_at_random))
    energy, null = (
        followed.at_read(each)[:, -1].mean(1) for each in (followed.moved, followed.moved_at_random)
    )
    count = (ours > SINGLE).sum(2)
    return Verdict(
        bool(
            count[:, -1].min() >= 1
            and not count[:, 0].any()
            and random.max() < SINGLE
            and (energy < null + 0.1).all()
        ),
        {
            "count": _each(count[:, -1], "d"),
            "pairs": ours.shape[2],
            "random": random.max(),
            "energy": _each(energy, ".0%"),
            "null": _each(null, ".0%"),
        },
    )


def _sides(values: Iterable[float]) -> str:
    """Lags in words: by how many steps before or after."""
    return ", ".join(
        f"{abs(value):.0f} {'before' if value < 0 else 'after'}"
        if np.isfinite(value)
        else "never half-way"
        for value in values
    )


def _each(values: Iterable[float], form: str = "+.0f") -> str:
    return ", ".join(f"{value:{form}}" for value in values)


CLAIMS = (
    Claim(
        "ahead-of-accuracy",
        "The score of the Legendre symbol leads the accuracy, and so do mostly those of "
        "meaningless questions, as a yes or no about the sum can be guessed before the sum is "
        "known.",
        "Steps by which scores on the last hidden layer are half-way before or after the accuracy, "
        "seed by seed: the Legendre symbol {symbol}; the control of parity {control}, that of the "
        "Legendre symbol {other}. Parity itself is ahead or not, from seed to seed: {parity}.",
        _ahead,
        seeds=3,
        null="the same question about randomly permuted residues",
        refuted_by="a seed in which the Legendre symbol is not a hundred steps ahead, or seeds in "
        "which the controls mostly are not.",
    ),
    Claim(
        "waves-with-accuracy",
        "The waves of the sum come with the accuracy: they are half-way up less than the distance "
        "of two checkpoints before or after it.",
        "The mean R² of the frequencies that are read at the end ({count} of {all}) is half-way so "
        "many steps before or after the test accuracy: {lags}; and the score of the Legendre "
        "symbol: {behind}. The checkpoints are {spacing} steps apart, so that lags below half of "
        "that are none: the order of waves and accuracy is told in {told} of {seeds} seeds.",
        _waves,
        seeds=3,
        null="none",
        refuted_by="a seed in which they are two hundred steps from the accuracy.",
        replaces="the waves are half-way up shortly before the accuracy, and after the scores of "
        "the Legendre symbol. In two seeds of three both are by less than the checkpoints can "
        "tell.",
    ),
    Claim(
        "outliers-after",
        "Outliers come with or after generalisation and not before it: none while at most "
        "{little:.0%} of the test pairs are right, and in each seed a group at the end.",
        "In none of {before} early spectra a gap stands out among the leading eigenvalues. At the "
        "end there are {end} above one, seed by seed (p at most {p:.3f}, search over ranks "
        "included), as many as at all checkpoints from step {first} on. The networks have {key} "
        "frequencies with more than 1% of the logits' variance.",
        _outliers,
        seeds=3,
        null="simulated spectra without a gap, at the 5% level for each checkpoint",
        refuted_by="a seed with a gap before it generalises, or without one at the end.",
    ),
    Claim(
        "one-outlier-a-frequency",
        "In one seed of three the outliers are the circuit's frequencies, one each: what their "
        "eigenvectors move most are its key frequencies, every one of them once.",
        "It is seed {seed}. Different strongest frequencies among the outliers, seed by seed: "
        "{distinct}.",
        _one_each,
        seeds=3,
        null="none; eleven draws from eleven frequencies are all different once in 7,000 times",
        refuted_by="further seeds none of which does it.",
    ),
    Claim(
        "single-frequencies",
        "Some leading eigenvectors of a trained network move one frequency, which no random "
        "direction does; that they move the network's own frequencies says nothing, since these do "
        "so, too.",
        "At the end {count} of {pairs} have more than half of what they change at one frequency, "
        "before training none; the most of a random direction, at any checkpoint, is {random:.0%}. "
        "At the frequencies that are read at the end lie {energy} of what eigenvectors change and "
        "{null} of what random directions do.",
        _single,
        seeds=3,
        null="as many random directions at the same weights",
        refuted_by="a seed of this width without such an eigenvector at the end.",
    ),
)
