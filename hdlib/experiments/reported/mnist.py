"""Reported of LeNet-tiny's spectrum on MNIST, and of outliers and gradients in the literature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.mnist.claims.spectrum import EPOCH
from hdlib.experiments.mnist.config import DRAW_SIZE, MnistConfig
from hdlib.experiments.mnist.gaps import CLASSES, SMALL_P, searched, second_level
from hdlib.experiments.mnist.recipe import DRAWS
from hdlib.experiments.mnist.results import MnistResults, PublishedMnist
from hdlib.experiments.mnist.samples import GAP, LARGEST, QUOTED, SMALL
from hdlib.experiments.reported.record import ORIGINAL, Control, Reported
from hdlib.experiments.reported.rules import about, at_least, at_most, between, mean_near
from hdlib.measures import spacing_ratio, spectral_summary, tail_spacings
from hdlib.measures.spacings import GOE_RATIOS
from hdlib.tasks import TRAIN_SIZE

Array = NDArray[np.float64]

STEP = 14_070
DRAWN = MnistConfig().draws
LARGE = 0.19
"""An eigenvalue above it is one of the original's sixty."""


def _draws(of: Callable[[Array], float]) -> Callable[[PublishedMnist], Array]:
    """A number of each Hessian over 50 images at the original's step."""

    def ours(runs: PublishedMnist) -> Array:
        spectra = runs.first.run.arrays(DRAWS, STEP)["eigenvalues"]
        return np.array([of(eigenvalues) for eigenvalues in spectra])

    return ours


def _all_images(of: Callable[[Array], float]) -> Callable[[PublishedMnist], float]:
    """The same number with all training images in the Hessian."""
    return lambda runs: of(runs.first.samples.eigenvalues[-1, -1])


def _headline(
    what: str, value: float, of: Callable[[Array], float], form: str = ".2g"
) -> Reported[PublishedMnist]:
    return Reported(
        work=ORIGINAL,
        what=f"{what}, from {DRAW_SIZE} images; ours: {DRAWN} draws",
        says=f"{value:,}",
        ours=_draws(of),
        form=form,
        rule=about(value),
        control=Control(f"with all {TRAIN_SIZE['mnist']:,} images", _all_images(of), due=True),
        seeds=1,
        section="sec-mnist-samples",
    )


def _largest_gap(eigenvalues: Array, rank: int) -> float:
    return float(np.sort(np.diff(eigenvalues))[-rank])


def _ratios(runs: PublishedMnist) -> Array:
    def mean(results: MnistResults) -> float:
        spectra = results.trajectory.eigenvalues
        return float(np.mean([spacing_ratio(tail_spacings(each)) for each in spectra]))

    return np.array([mean(results) for results in runs.both])


def _spectra_of_all(runs: PublishedMnist) -> Array:
    """Spectra from all training images, at three checkpoints."""
    return runs.first.samples.eigenvalues[:, -1]


def _overlaps(runs: PublishedMnist) -> Array:
    """Of the top ten eigenvectors at the end of the first epoch with those of later checkpoints."""
    at = runs.first.at(EPOCH)
    return runs.first.trajectory.overlaps(CLASSES)[at, at + 1 :]


RECORDS: tuple[Reported[PublishedMnist], ...] = (
    Reported(
        work=ORIGINAL,
        what=f"test accuracy at step {STEP:,}",
        says="98.6%",
        ours=lambda runs: runs.first.logged("test_accuracy", STEP),
        form=".1%",
        rule=about(0.986, margin=0.005),
        seeds=1,
        section="sec-mnist-samples",
    ),
    _headline("largest eigenvalue", QUOTED[LARGEST], lambda e: float(e[-1])),
    _headline("lowest eigenvalue", -0.56, lambda e: float(e[0])),
    _headline(GAP, QUOTED[GAP], lambda e: float(e[-1] - e[-2])),
    _headline("the next widest gap", 4.2, lambda e: _largest_gap(e, 2)),
    _headline(SMALL, QUOTED[SMALL], lambda e: spectral_summary(e).n_small, ",.0f"),
    _headline(f"eigenvalues above {LARGE}", 60, lambda e: float((e > LARGE).sum()), ".0f"),
    Reported(
        work="@sagun2017empirical, @papyan2019measurements",
        what="outliers, about as many as classes; all images, three checkpoints",
        says=str(CLASSES),
        ours=lambda runs: [searched(each).rank for each in _spectra_of_all(runs)],
        form=".0f",
        rule=between(CLASSES - 1, CLASSES + 1),
        seeds=1,
        section="sec-mnist-samples",
    ),
    Reported(
        work="@papyan2019measurements",
        what="a second group of about C² eigenvalues; ours: p of the best gap below ranks "
        "81 to 100, all images, three checkpoints",
        says=str(CLASSES**2),
        ours=lambda runs: [second_level(each).p for each in _spectra_of_all(runs)],
        rule=at_most(SMALL_P),
        seeds=1,
        section="sec-mnist-literature",
    ),
    Reported(
        work="@gurari2018gradient",
        what="share of the gradient in the top C eigenvectors, all images, three checkpoints",
        says="most",
        ours=lambda runs: runs.first.samples.gradients[:, -1],
        form=".0%",
        rule=at_least(0.5, ".0%"),
        seeds=1,
        section="sec-mnist-samples",
    ),
    Reported(
        work="@gurari2018gradient",
        what="overlap of the top C eigenvectors after one epoch with those of every later "
        "checkpoint",
        says="mostly preserved",
        ours=_overlaps,
        rule=at_least(0.5),
        seeds=1,
        section="sec-mnist-literature",
    ),
    Reported(
        work="@baskerville2022appearance",
        what="mean ratio of neighbouring spacings: that of a random symmetric matrix",
        says=f"{GOE_RATIOS[0]:.3f}",
        ours=_ratios,
        form=".3f",
        rule=mean_near(GOE_RATIOS[0], margin=0.02),
        seeds=2,
        section="sec-mnist-literature",
    ),
)
