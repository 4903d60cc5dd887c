"""Claims about the spectrum through training: its size, its clusters, its exact zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.results import PublishedMnist

PEAK, EPOCH = 50, 469
"""Steps at which the first network's spectrum is sharpest, and its first epoch ends."""


def _early_peak(runs: PublishedMnist) -> Verdict:
    first, second = runs.both
    rise, left, other, other_left = [], [], [], []
    for key in ("trace", "largest_eigenvalue"):
        before, peak, epoch = first.measures[key][[0, first.at(PEAK), first.at(EPOCH)]]
        rise.append(peak / before)
        left.append(epoch / peak)
        start, *_, end = second.measures[key]
        other.append(second.measures[key][second.at(PEAK)] / start)
        other_left.append(end / second.measures[key][second.at(PEAK)])
    before, after = (first.logged("test_accuracy", step) for step in (0, PEAK))
    return Verdict(
        abs(before - 0.1) < 0.01
        and after > 0.85
        and min(rise) > 10
        and max(left) < 0.25
        and 2 < min(other) < max(other) < 3
        and max(other_left) < 0.5,
        {
            "rise": extent(rise, ".0f"),
            "left": extent(left, ".0%"),
            "other": extent(other, ".1f"),
            "other_left": extent(other_left, ".0%"),
            "before": before,
            "after": after,
        },
    )


def _late_sharpness(runs: PublishedMnist) -> Verdict:
    largest = runs.first.measures["largest_eigenvalue"]
    late = largest[runs.first.at(2 * EPOCH) :] / largest[0]
    last = int(runs.first.steps[-1])
    loss = runs.first.logged("train_loss", EPOCH) / runs.first.logged("train_loss", last)
    return Verdict(
        bool((np.abs(np.log2(late)) < 1).all() and loss > 10),
        {"late": extent(late, ".1f"), "loss": loss},
    )


def _negative_eigenvalues(runs: PublishedMnist) -> Verdict:
    share, other = (results.measures["n_negative"] / results.trajectory.n for results in runs.both)
    lowest = runs.first.measures["smallest_eigenvalue"]
    return Verdict(
        bool(np.ptp(share) < 0.01 and abs(share.mean() - 0.4) < 0.03 and np.ptp(other) < 0.05)
        and lowest.min() < 10 * lowest[-1] < 0,
        {
            "share": extent(share, ".1%"),
            "other": extent(other, ".1%"),
            "deepest": lowest.min(),
            "last": lowest[-1],
        },
    )


def _plateau(eigenvalues: NDArray[np.float64], clusters: int) -> float:
    """Over what factor of ε there are so many clusters."""
    gaps = np.sort(np.diff(eigenvalues))[::-1]
    return float(gaps[clusters - 2] / gaps[clusters - 1])


def _plateaus(runs: PublishedMnist) -> Verdict:
    first = runs.first
    ten = {step: _plateau(first.trajectory[step].eigenvalues, 10) for step in (PEAK, 100, 200)}
    six = _plateau(first.trajectory.eigenvalues[-1], 6)
    three = _plateau(first.trajectory[13_132].eigenvalues, 3)
    return Verdict(
        3.8 < ten[PEAK] < 4.2
        and 2.7 < ten[100] < ten[200] < 3.3
        and 0.7 * ten[PEAK] < six < ten[PEAK] < three,
        {"ten": ten[PEAK], "later": extent([ten[100], ten[200]], ".1f")}
        | {"six": six, "three": three},
    )


def _exact_zeros(runs: PublishedMnist) -> Verdict:
    first, second = runs.both
    demanded = first.symmetric_zeros
    return Verdict(
        demanded == second.symmetric_zeros == second.zeros[0] == 257
        and bool((first.zeros == demanded).all())
        and demanded < second.zeros[1:].min(),
        {"demanded": demanded, "more": extent(second.zeros[1:], "d")},
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="early-peak",
        says="Trace and largest eigenvalue rise within the first 50 steps and lose most of that "
        "again within the first epoch; how far they rise is a matter of the seed, more than "
        "tenfold in one and less than threefold in the other.",
        evidence="From seed 42 they rise by a factor of {rise}, while the test accuracy goes from "
        "{before:.0%} to {after:.0%}, and at the end of the epoch {left} of the peak is left; from "
        "seed 43 they rise by {other}, and {other_left} is left.",
        decide=_early_peak,
        seeds=2,
        null="none",
        refuted_by="a seed from which they are not highest within the first epoch.",
    ),
    Claim(
        name="late-sharpness",
        says="From the second epoch on the largest eigenvalue stays within a factor of two of its "
        "initial value, while the training loss falls by more than another factor of ten.",
        evidence="It is {late} times the initial value; the loss falls by a factor of {loss:.0f}.",
        decide=_late_sharpness,
        seeds=1,
        null="none",
        refuted_by="another seed that leaves this range after its first epoch.",
    ),
    Claim(
        name="negative-eigenvalues",
        says="The number of negative eigenvalues hardly changes; what changes is their size.",
        evidence="{share} of all are negative at every checkpoint, from seed 43 {other} in the "
        "first epoch; the lowest goes from {deepest:.1f} to {last:.2f}.",
        decide=_negative_eigenvalues,
        seeds=2,
        null="none",
        refuted_by="another seed in which their share changes as their size does.",
    ),
    Claim(
        name="plateaus",
        says="At step 50 n(ε) has a plateau at ten clusters, nine single eigenvalues and one "
        "cluster of everything else; but such a plateau alone says little.",
        evidence="It is over a factor of {ten:.1f} in ε, and over {later} at steps 100 and 200. "
        "At the last checkpoint there is one at six clusters over {six:.1f}, and at step 13,132 a "
        "longer one, over {three:.1f}, at three, because the largest few gaps of a heavy tail are "
        "far apart.",
        decide=_plateaus,
        seeds=1,
        null="plateaus at other checkpoints",
        refuted_by="a rule by which the length of a plateau tells outliers from a heavy tail.",
        replaces="“no other checkpoint of the four shown has a plateau like that of step 50”.",
    ),
    Claim(
        name="exact-zeros",
        says="One group of eigenvalues is zero at every checkpoint, by a symmetry of the read-out.",
        evidence="{demanded} have to be, and from seed 42 these are zero to rounding at every "
        "checkpoint, and no others. From seed 43 {more} are, once training has begun.",
        decide=_exact_zeros,
        seeds=2,
        null="what the symmetry demands",
        refuted_by="a checkpoint with fewer zeros than the symmetry demands.",
        replaces="“there is no cluster inside the bulk”; there is this one, which tells of the "
        "parametrisation and not of what was learned.",
    ),
)
