"""Claims about the gradient, and the space of the top eigenvectors."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.claims.spectrum import EPOCH, PEAK
from hdlib.experiments.mnist.gaps import CLASSES
from hdlib.experiments.mnist.results import ALL_DATA, OWN_SAMPLES, PublishedMnist


def _gradient_inside(runs: PublishedMnist) -> Verdict:
    first = runs.first
    whole, own = (first.gradient_fractions[key] for key in (ALL_DATA, OWN_SAMPLES))
    start, ten, peak = 0, first.at(10), first.at(PEAK)
    return Verdict(
        bool(
            0.45 < min(whole[start], own[start]) < max(whole[start], own[start]) < 0.6
            and max(whole[ten], own[ten]) < 0.12
            and own[peak:].min() > 0.6
            and whole[peak:-1].min() > 0.55
            and whole[-1] < 0.3 < 0.9 < own[-1]
        ),
        {
            "start": extent([whole[start], own[start]], ".0%"),
            "ten": extent([whole[ten], own[ten]], ".0%"),
            "own": own[peak:].min(),
            "whole": whole[peak:-1].min(),
            "last_own": own[-1],
            "last_whole": whole[-1],
            "chance": first.chance,
        },
    )


def _space_moves(runs: PublishedMnist) -> Verdict:
    first, overlaps = runs.first, runs.first.trajectory.overlaps(CLASSES)
    successive = np.diagonal(overlaps, 1)[first.at(PEAK) :]
    far = overlaps[: first.at(EPOCH) + 1, -1].max()
    return Verdict(
        bool(abs(successive.min() - 0.38) < 0.01 and successive.max() < 0.85 and far < 0.36),
        {"successive": extent(successive, ".2f"), "far": far, "chance": first.chance},
    )


def _gradient_from_all(runs: PublishedMnist) -> Verdict:
    inside = runs.first.samples.gradients
    return Verdict(
        bool(inside[:, -1].min() > 0.9 and inside[-1, 2] < 0.3),
        {"all": extent(inside[:, -1], ".0%"), "last": inside[-1, -1], "few": inside[-1, 2]},
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="gradient-inside",
        says="From step 50 on most of the gradient lies in the top ten eigenvectors, if one asks "
        "about the same images.",
        evidence="{start} of its squared norm does before training, {ten} at step 10; from step "
        "50 on at least {own:.0%} for the gradient over the Hessian's own images. For that over "
        "all training data at least {whole:.0%} until the last checkpoint but one, and "
        "{last_whole:.0%} at the last, where it is {last_own:.0%} for the own images. A random "
        "direction has {chance:.1%} inside.",
        decide=_gradient_inside,
        seeds=1,
        null="a random direction",
        refuted_by="another seed that has less than half of the gradient inside, over own images.",
    ),
    Claim(
        name="space-moves",
        says="The space of the top ten eigenvectors does not stand still.",
        evidence="Successive checkpoints from step 50 on overlap by {successive}, the first epoch "
        "and the end by {far:.2f} at most; random spaces overlap by {chance:.3f}.",
        decide=_space_moves,
        seeds=1,
        null="two random spaces",
        refuted_by="another seed whose late checkpoints keep the space of the first epoch.",
    ),
    Claim(
        name="gradient-from-all",
        says="With all images in the Hessian the gradient is mostly inside its top ten "
        "eigenvectors at all three checkpoints, the last one included.",
        evidence="{all} of its squared norm is; at the last {last:.0%}, where it is {few:.0%} "
        "with 1,000 images.",
        decide=_gradient_from_all,
        seeds=1,
        null="a random direction",
        refuted_by="another seed with less than half inside at the last checkpoint.",
    ),
)
