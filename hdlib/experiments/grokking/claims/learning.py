"""Claims about what surrounds the network: its local learning coefficient."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.coefficients import USUAL
from hdlib.experiments.grokking.results import PublishedGrokking


def _falls(published: PublishedGrokking) -> Verdict:
    found = published.coefficients
    mean = found.whole.mean(1)
    largest = int(mean.argmax())
    begun, done = published.results.transition or (0, 0)
    first, last = np.searchsorted(found.steps, (begun, done))
    few = list(published.sweep.memorising_coefficients.values())
    level = [of.whole.mean(1)[-2:] for of in few]
    return Verdict(
        bool(
            (np.diff(mean[largest:]) < 0).all()
            and mean[last] < 0.05 * mean[first]
            and len(few) >= 3
            and all(end > 0.5 * before for before, end in level)
        ),
        {
            "largest": int(found.steps[largest]),
            "value": mean[largest],
            "begun": int(found.steps[first]),
            "before": mean[first],
            "done": int(found.steps[last]),
            "after": mean[last],
            "end": mean[-1],
            "apart": float((np.ptp(found.whole, axis=1) / mean)[largest:].max()),
            "networks": len(few),
            "middle": int(few[0].steps[-2]) if few else 0,
            "few_before": extent([before for before, _ in level], ".0f"),
            "few_end": extent([end for _, end in level], ".0f"),
        },
    )


FALLS = Claim(
    name="coefficient-falls",
    says="The local learning coefficient falls through the transition by two orders of magnitude; "
    "in networks that only memorise it is level by then.",
    evidence="It is largest at step {largest:,}, {value:.0f}, and falls at every checkpoint from "
    "there on: from {before:.3g} to {after:.2g} in the transition, from step {begun:,} to "
    "{done:,}, and to {end:.2g} at the end; its two chains are at most {apart:.0%} of it apart. "
    "While the training loss goes to zero it falls without any circuit, too; but in {networks} "
    "networks with too few pairs it is {few_before} at step {middle:,} and {few_end} at the end.",
    decide=_falls,
    seeds=1,
    null="networks that only memorise, three seeds",
    refuted_by="other seeds that generalise while it stays level.",
)


def _no_parabola(published: PublishedGrokking) -> Verdict:
    found, memorised = published.coefficients, published.results.phases.memorised or 0
    ratio = found.whole.mean(1) / found.parabola
    late = found.steps > memorised
    first = int(np.flatnonzero(found.steps > 0)[0])
    return Verdict(
        bool(abs(ratio[first] - 1) < 0.25 and np.median(ratio[late]) > 30),
        {
            "first": int(found.steps[first]),
            "equal": ratio[first],
            "memorised": memorised,
            "median": np.median(ratio[late]),
            "range": extent(ratio[late], ",.0f"),
            "stray": float(np.sqrt(published.results.config.n_parameters / USUAL.localisation)),
        },
    )


NO_PARABOLA = Claim(
    name="no-parabola",
    says="After memorisation the second order of the loss says next to nothing of what surrounds "
    "the network, as far away as the chains go.",
    evidence="If the loss were its second order, λ̂ would be ½ Σ nβh/(nβh + γ) over all "
    "eigenvalues h. At step {first:,} it is {equal:.2f} times that. After step {memorised:,} it is "
    "{range} times, {median:,.0f} in the median: the loss, nearly zero at the network, rises much "
    "faster around it than its curvature there tells. That is at a distance of about "
    "{stray:.0f}; nearer by the parabola is better.",
    decide=_no_parabola,
    seeds=1,
    null="the whole spectrum at the same checkpoint",
    refuted_by="chains that stay as near as moves of 1% of the norm and differ from the parabola "
    "as much.",
)


def _frequencies(published: PublishedGrokking) -> Verdict:
    found = published.coefficients
    begun, done = published.results.transition or (0, 0)
    within = (found.steps > begun) & (found.steps < done)
    key, other = found.frequencies[within], found.others[within]
    memorised, told = published.results.phases.memorised, ""
    if memorised is not None:
        at = int(np.searchsorted(found.steps, memorised))
        told = (
            f"At step {found.steps[at]:,}, where memorisation ends, it is "
            f"{found.frequencies[at].mean():.1f} and {found.others[at].mean():.1f}. "
        )
    lower = (key[:, :, None] < other[:, None, :]).mean((1, 2))
    return Verdict(
        bool(within.any() and lower.min() > 0.75 and (key.mean(1) < 0.75 * other.mean(1)).all()),
        {
            "steps": listed(found.steps[within], ","),
            "key": listed(key.mean(1), ".2f"),
            "other": listed(other.mean(1), ".2f"),
            "lower": listed(lower, ".0%"),
            "before": told,
        },
    )


FREQUENCIES = Claim(
    name="flat-along-the-circuit",
    says="In the transition the loss surrounds the network more flatly along the frequencies of "
    "its circuit than along others.",
    evidence="λ̂ of the weights of one frequency, with all others held, is {key} in the mean over "
    "key frequencies at steps {steps}, and {other} over as many others; {lower} of all pairs of "
    "one and another have the key one lower. {before}This was not asked, but seen.",
    decide=_frequencies,
    seeds=1,
    null="as many frequencies that are no key ones, drawn at random",
    refuted_by="other seeds in which key frequencies have as much.",
)

CLAIMS = (FALLS, NO_PARABOLA, FREQUENCIES)
