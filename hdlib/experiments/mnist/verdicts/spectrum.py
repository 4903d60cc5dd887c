"""What decides the claims about the spectrum: training, clusters, zeros, layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import extent
from hdlib.experiments.claim import Verdict
from hdlib.experiments.mnist.gaps import PREDICTED
from hdlib.experiments.mnist.results import Published
from hdlib.experiments.mnist.verdicts import EARLY, EPOCH, PEAK


def early_peak(runs: Published) -> Verdict:
    """Rise and fall of trace and largest eigenvalue in the first epoch."""
    first, second = runs.both
    rise, left, other = [], [], []
    for key in ("trace", "largest_eigenvalue"):
        before, peak, epoch = first.measures[key][[0, first.at(PEAK), first.at(EPOCH)]]
        rise.append(peak / before)
        left.append(epoch / peak)
        other.append(second.measures[key].max() / second.measures[key][0])
    before, after = (first.logged("test_accuracy", step) for step in (0, PEAK))
    return Verdict(
        abs(before - 0.1) < 0.01
        and after > 0.85
        and min(rise) > 10
        and max(left) < 0.25
        and 2 < min(other) < max(other) < 3,
        {
            "rise": extent(rise, ".0f"),
            "left": extent(left, ".0%"),
            "other": extent(other, ".1f"),
            "before": before,
            "after": after,
        },
    )


def late_sharpness(runs: Published) -> Verdict:
    """Largest eigenvalue from the second epoch on, and the loss meanwhile."""
    largest = runs.first.measures["largest_eigenvalue"]
    late = largest[runs.first.at(2 * EPOCH) :] / largest[0]
    last = int(runs.first.steps[-1])
    loss = runs.first.logged("train_loss", EPOCH) / runs.first.logged("train_loss", last)
    return Verdict(
        bool((np.abs(np.log2(late)) < 1).all() and loss > 10),
        {"late": extent(late, ".1f"), "loss": loss},
    )


def negative_eigenvalues(runs: Published) -> Verdict:
    """Number of negative eigenvalues, and the size of the lowest."""
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


def plateaus(runs: Published) -> Verdict:
    """Length of plateaus of n(ε), at ten clusters and elsewhere."""
    first = runs.first
    ten = {step: _plateau(first.trajectory[step].eigenvalues, 10) for step in (PEAK, 100, EARLY)}
    six = _plateau(first.trajectory.eigenvalues[-1], 6)
    three = _plateau(first.trajectory[13_132].eigenvalues, 3)
    return Verdict(
        3.8 < ten[PEAK] < 4.2
        and 2.7 < ten[100] < ten[EARLY] < 3.3
        and 0.7 * ten[PEAK] < six < ten[PEAK] < three,
        {"ten": ten[PEAK], "later": extent([ten[100], ten[EARLY]], ".1f")}
        | {"six": six, "three": three},
    )


def exact_zeros(runs: Published) -> Verdict:
    """Eigenvalues that are zero to rounding, and those that the symmetry demands."""
    first, second = runs.both
    demanded = first.symmetric_zeros
    return Verdict(
        demanded == second.symmetric_zeros == second.zeros[0] == 257
        and bool((first.zeros == demanded).all())
        and demanded < second.zeros[1:].min(),
        {"demanded": demanded, "more": extent(second.zeros[1:], "d")},
    )


def nine_in_the_read_out(runs: Published) -> Verdict:
    """Weight in the read-out of the nine leading eigenvectors, and of those after them."""
    first, second = runs.both
    leading = first.layer_weights[first.at(PEAK), :30, 2]
    nine, after = leading[:PREDICTED].mean(), leading[PREDICTED:].mean()
    other = [second.layer_weights[second.at(step), :PREDICTED, 2].mean() for step in (10, 100)]
    return Verdict(
        first.layers[2] == "linear" and nine > 0.8 > 0.65 > after and min(other) > 0.7,
        {"nine": nine, "after": after, "other": extent(other, ".0%")},
    )


def spread_as_the_parameters(runs: Published) -> Verdict:
    """Weight per layer of thirty leading eigenvectors, before training and at its end."""
    shares = runs.first.layer_weights[[0, -1], :30].mean(1)
    own = runs.first.parameter_share
    off, convolution = np.abs(shares - own).max(), shares[:, 0]
    return Verdict(
        bool(off < 0.15 and (convolution > 1.5 * own[0]).all()),
        {"off": 100 * off, "convolution": extent(convolution, ".0%"), "own": own[0]},
    )


def filters_kept(runs: Published) -> Verdict:
    """Filters of the first layer at step 50 and at the end."""
    early, last = (runs.first.chosen_filters[label] for label in ("step 50", "step 14,070"))
    contrast = float(last.std() / early.std())
    signs = float((np.sign(early) == np.sign(last)).mean())
    return Verdict(
        1.9 < contrast < 2.1 and 0.7 < signs < 0.8, {"contrast": contrast, "signs": signs}
    )
