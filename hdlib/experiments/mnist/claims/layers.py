"""Claims about the layers in which sharp directions live, and about filters."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.mnist.claims.spectrum import PEAK
from hdlib.experiments.mnist.gaps import PREDICTED
from hdlib.experiments.mnist.results import PublishedMnist


def _nine_in_the_read_out(runs: PublishedMnist) -> Verdict:
    first, second = runs.both
    steps = ((first, PEAK), (second, 10), (second, 100))
    leading = np.array([found.layer_weights[found.at(step), :30, 2] for found, step in steps])
    nine, after = leading[:, :PREDICTED].mean(1), leading[:, PREDICTED:].mean(1)
    return Verdict(
        bool(first.layers[2] == "linear" and nine.min() > 0.7 and (nine > after + 0.1).all()),
        {
            "nine": nine[0],
            "after": after[0],
            "other": extent(nine[1:], ".0%"),
            "other_after": extent(after[1:], ".0%"),
            "own": first.parameter_share[2],
        },
    )


def _spread_as_the_parameters(runs: PublishedMnist) -> Verdict:
    shares = runs.first.layer_weights[[0, -1], :30].mean(1)
    own = runs.first.parameter_share
    off, convolution = np.abs(shares - own).max(), shares[:, 0]
    return Verdict(
        bool(off < 0.15 and (convolution > 1.5 * own[0]).all()),
        {"off": 100 * off, "convolution": extent(convolution, ".0%"), "own": own[0]},
    )


def _filters_kept(runs: PublishedMnist) -> Verdict:
    start, early, last = (
        runs.first.chosen_filters[label] for label in ("step 0", "step 50", "step 14,070")
    )
    contrast = float(last.std() / early.std())
    before, signs = (float((np.sign(of) == np.sign(last)).mean()) for of in (start, early))
    alike = [float(np.corrcoef(of.ravel(), last.ravel())[0, 1]) for of in (start, early)]
    return Verdict(
        1.9 < contrast < 2.1
        and 0.7 < min(before, signs) < max(before, signs) < 0.8
        and 0.5 < alike[0] < alike[1] < 0.9,
        {
            "contrast": contrast,
            "signs": signs,
            "signs_before": before,
            "alike": alike[1],
            "alike_before": alike[0],
        },
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="nine-in-the-read-out",
        says="Where nine outliers are clearest, their eigenvectors live mostly in the read-out, "
        "more than those after them.",
        evidence="At step 50 of seed 42 they have {nine:.0%} of their weight there, those after "
        "them, up to the thirtieth, {after:.0%}; at steps 10 and 100 of seed 43 {other} and "
        "{other_after}. The read-out has {own:.0%} of the parameters.",
        decide=_nine_in_the_read_out,
        seeds=2,
        null="the eigenvectors after them",
        refuted_by="a seed whose early outliers have most of their weight in the convolutions.",
    ),
    Claim(
        name="spread-as-the-parameters",
        says="Before training and at its end the leading eigenvectors are spread over the layers "
        "roughly like the parameters, but for the first convolution, which gets more.",
        evidence="Shares of the 30 leading ones are at most {off:.0f} points off; the first "
        "convolution has {convolution}, with {own:.0%} of the parameters.",
        decide=_spread_as_the_parameters,
        seeds=1,
        null="shares of the parameters",
        refuted_by="another seed whose last leading eigenvectors keep to one layer.",
    ),
    Claim(
        name="filters-kept",
        says="The filters at the end resemble those of step 50, with twice the contrast; but they "
        "resemble those before training nearly as much.",
        evidence="Their standard deviation is {contrast:.2f} times that at step 50, {signs:.0%} of "
        "the signs are the same and the correlation is {alike:.2f}; with those before training "
        "{signs_before:.0%} and {alike_before:.2f}.",
        decide=_filters_kept,
        seeds=1,
        null="the filters before training; half of the signs, by chance",
        refuted_by="another seed that keeps half of the signs only.",
        replaces="the filters at the end are those of step 50 with twice the contrast, without a "
        "look at how far both are those of the start.",
    ),
)
