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
    leading = first.layer_weights[first.at(PEAK), :30, 2]
    nine, after = leading[:PREDICTED].mean(), leading[PREDICTED:].mean()
    other = [second.layer_weights[second.at(step), :PREDICTED, 2].mean() for step in (10, 100)]
    return Verdict(
        first.layers[2] == "linear" and nine > 0.8 > 0.65 > after and min(other) > 0.7,
        {"nine": nine, "after": after, "other": extent(other, ".0%")},
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
    early, last = (runs.first.chosen_filters[label] for label in ("step 50", "step 14,070"))
    contrast = float(last.std() / early.std())
    signs = float((np.sign(early) == np.sign(last)).mean())
    return Verdict(
        1.9 < contrast < 2.1 and 0.7 < signs < 0.8, {"contrast": contrast, "signs": signs}
    )


CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    Claim(
        name="nine-in-the-read-out",
        says="Where nine outliers are, their eigenvectors live mostly in the read-out.",
        evidence="At step 50 of seed 42 they have {nine:.0%} of their weight there, those after "
        "them {after:.0%}; at steps 10 and 100 of seed 43 the nine have {other}.",
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
        says="The filters at the end are those of step 50 with twice the contrast.",
        evidence="Their standard deviation is {contrast:.2f} times as large, and {signs:.0%} of "
        "the signs are kept.",
        decide=_filters_kept,
        seeds=1,
        null="half of the signs, by chance",
        refuted_by="another seed that keeps half of the signs only.",
    ),
)
