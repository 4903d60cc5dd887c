"""Claims about the original's setting: what grows with depth, and what is learned."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.depth.results import Network, PublishedDepth, by_depth
from hdlib.training import OTHERS

LATE = 2_000
"""Steps from which a training counts as late."""


def _first(network: Network) -> float:
    return float(network.measured("largest_eigenvalue")[1][0])


def _last(network: Network) -> float:
    return float(network.measured("largest_eigenvalue")[1][-1])


def _final(column: str, network: Network) -> float:
    return float(network.history[column][-1])


def _falls(results: PublishedDepth) -> Verdict:
    falls = []
    for encoding in results.grid.encodings:
        _, values = by_depth(results.original(encoding), _first)
        falls.append(bool((np.diff(values, axis=0) < 0).all()))
    _, raw = by_depth(results.original("raw"), _first)
    return Verdict(
        all(falls),
        {
            "shallow": extent(raw[0], ",.3g"),
            "deep": extent(raw[-1], ".2g"),
            "ratio": extent(raw[0] / raw[-1], ",.0f"),
        },
    )


FALLS_BEFORE_TRAINING = Claim(
    name="falls-before-training",
    says="Before training, sharpness falls with every hidden layer more, in each encoding and "
    "seed.",
    evidence="On raw integers from {shallow} with one hidden layer to {deep} with seven, by a "
    "factor of {ratio}.",
    decide=_falls,
    seeds=3,
    null="none",
    refuted_by="a seed and an encoding in which a deeper network is sharper before training.",
    replaces="the original: top eigenvalues increase with depth. Its own first logged values "
    "fall, from 11,120 to 9.9 for depth 1 to 5.",
)


def _grows(results: PublishedDepth) -> Verdict:
    depths, values = by_depth(results.original("raw"), _last)
    monotone = np.all(np.diff(values, axis=0) > 0, axis=0)
    deeper = values[1:] > values[0]
    spread = values[1:].max(1) / values[1:].min(1)
    orders = [np.corrcoef(depths[1:], rankdata(seed))[0, 1] for seed in values[1:].T]
    return Verdict(
        bool(deeper.all() and not monotone.any() and np.median(orders) < 0.5),
        {
            "one": extent(values[0], ",.3g"),
            "others": extent(values[1:].ravel(), ",.3g"),
            "monotone": int(monotone.sum()),
            "seeds": values.shape[1],
            "spread": extent(spread, ".1f"),
            "orders": ", ".join(f"{order:.2f}" for order in orders),
            "depth": int(depths[-1]),
        },
    )


GROWS_NOT_IN_ORDER = Claim(
    name="grows-not-in-order",
    says="At the end of training one hidden layer is the least sharp, and beyond that sharpness "
    "does not grow in the order of depth in every seed.",
    evidence="On raw integers it is {one} with one hidden layer and {others} with two to {depth}; "
    "it rises from depth to depth all the way in {monotone} of {seeds} seeds; its rank correlation "
    "with depth, from two on, is {orders}, seed by seed, and seeds of one depth are apart by "
    "factors of {spread}.",
    decide=_grows,
    seeds=3,
    null="the spread of seeds of one depth",
    refuted_by="seeds in which sharpness at the end rises with every layer more.",
    replaces="the original: top eigenvalues increase with depth; its own values at the end, of "
    "one run each, go up and down from depth 2 on.",
)


def _scale(results: PublishedDepth) -> Verdict:
    pairs = _pairs(results)
    plain = [_first(first) / _first(second) for first, second in pairs]
    free = [float(first.adaptive[0] / second.adaptive[0]) for first, second in pairs]
    plain_end = [_last(first) / _last(second) for first, second in pairs]
    free_end = [float(first.adaptive[-1] / second.adaptive[-1]) for first, second in pairs]
    return Verdict(
        min(plain) > 100 and min(free) > 100,
        {
            "plain": extent(plain, ",.0f"),
            "free": extent(free, ",.0f"),
            "plain_end": extent(plain_end, ",.0f"),
            "free_end": extent(free_end, ",.0f"),
        },
    )


def _pairs(results: PublishedDepth) -> list[tuple[Network, Network]]:
    """Networks on raw and on standardised integers, of the same depth and seed."""
    others = {(n.config.depth, n.config.seed): n for n in results.original("standardised")}
    return [
        (n, others[n.config.depth, n.config.seed])
        for n in results.original("raw")
        if (n.config.depth, n.config.seed) in others
    ]


SCALE_OF_THE_INPUTS = Claim(
    name="scale-of-the-inputs",
    says="Sharpness on raw integers is their scale before all, and a scale-free sharpness does "
    "not take that away: the same weights on larger numbers are another function.",
    evidence="Before training it is {plain} times that on standardised integers, from the same "
    "weights, depth by depth and seed by seed, and the scale-free sharpness {free} times; at the "
    "end {plain_end} and {free_end} times.",
    decide=_scale,
    seeds=3,
    null="the same initial weights on standardised integers",
    refuted_by="a depth and a seed at which one of the two is of the same order on both before "
    "training.",
)


def _alike(results: PublishedDepth) -> Verdict:
    networks = results.original("raw")
    plain, free = [_last(n) for n in networks], [float(n.adaptive[-1]) for n in networks]
    spread, free_spread = max(plain) / min(plain), max(free) / min(free)
    return Verdict(
        free_spread < 0.1 * spread,
        {
            "free": extent(free, ",.0f"),
            "spread": free_spread,
            "plain": spread,
            "count": len(networks),
        },
    )


SCALE_FREE_ALIKE = Claim(
    name="scale-free-alike",
    says="At the end of training the scale-free sharpness on raw integers is of one order at "
    "every depth.",
    evidence="It is {free} in {count} networks of one to seven hidden layers, apart by a factor "
    "of {spread:.1f} at most; the plain one is apart by a factor of {plain:.0f}.",
    decide=_alike,
    seeds=3,
    null="the plain largest eigenvalue",
    refuted_by="depths whose scale-free sharpness differs as the plain one does.",
)


def _no_depth(results: PublishedDepth) -> Verdict:
    networks = results.original("raw")
    best = [float(n.history["test_accuracy"].max()) for n in networks]
    others = [float(n.history[OTHERS].max()) for n in networks]
    top = int(np.argmax(best))
    return Verdict(
        max(best) < 0.1,
        {
            "best": max(best),
            "depth": networks[top].config.depth,
            "others": max(others),
            "chance": 1 / results.grid.p,
            "count": len(networks),
        },
    )


NO_DEPTH_GENERALISES = Claim(
    name="no-depth-generalises",
    says="On raw integers and a tenth of the pairs no network generalises, of any depth.",
    evidence="The best test accuracy at any logged step of {count} networks is {best:.1%}, with "
    "{depth} hidden layers; on test pairs that memory cannot answer the best is {others:.1%}; "
    "chance is {chance:.1%}.",
    decide=_no_depth,
    seeds=3,
    null="chance, one in p",
    refuted_by="a network with more than a tenth of the test pairs right.",
    replaces="the original: only depth 2 consistently reaches high test accuracy, and shallow "
    "networks show a clear transition to generalisation; its own best is 5.6%, of one run.",
)


def _sharp(results: PublishedDepth) -> Verdict:
    networks = results.original("raw")
    rise, one = (
        [_last(n) / _first(n) for n in networks if (n.config.depth > 1) is deep]
        for deep in (True, False)
    )
    accuracy = [_final("test_accuracy", n) for n in networks]
    return Verdict(
        min(rise) > 2 and max(accuracy) < 0.1,
        {
            "rise": extent(rise, ",.0f"),
            "one": extent(one, ".1f"),
            "accuracy": max(accuracy),
            "count": len(rise),
        },
    )


SHARP_WITHOUT_GENERALISING = Claim(
    name="sharp-without-generalising",
    says="On raw integers networks of two to seven hidden layers all become sharper without "
    "generalising: it is not what tells those of four and more from those of two and three.",
    evidence="From first to last sharpness changes by factors of {rise} in {count} networks, and "
    "of {one} with one hidden layer; at most {accuracy:.1%} of the test pairs are right at the "
    "end, in any.",
    decide=_sharp,
    seeds=3,
    null="none",
    refuted_by="a depth at which a network generalises in this setting.",
    replaces="the original: deep networks, of four layers and more, show high curvature without "
    "generalising. That is so in its setting, but of the others as well.",
)


def _standardised(results: PublishedDepth) -> Verdict:
    networks = results.original("standardised")
    depths, others = by_depth(networks, lambda n: _final(OTHERS, n))
    _, sharp = by_depth(networks, _last)
    raw = max(float(n.history[OTHERS].max()) for n in results.original("raw"))

    def listed(values: np.ndarray, form: str) -> str:
        rows = zip(depths, values, strict=True)
        return ", ".join(f"{extent(row, form)} (depth {depth})" for depth, row in rows)

    return Verdict(
        bool(others[1:].min() > 1.4 * others[0].max() and others.min() > 2 * raw),
        {"others": listed(others, ".0%"), "sharp": listed(sharp, ",.3g"), "raw": raw},
    )


STANDARDISED = Claim(
    name="deeper-is-better",
    says="Once the integers are standardised, the same networks generalise in part from a tenth "
    "of the pairs, and deeper ones better than those of one hidden layer.",
    evidence="Right at the end, of the test pairs that memory cannot answer: {others}; the best "
    "on raw integers, of any depth at any step, is {raw:.1%}. Sharpness at the end, {sharp}, is "
    "least with one hidden layer and not in the order of depth in every seed.",
    decide=_standardised,
    seeds=3,
    null="the same networks on raw integers",
    refuted_by="a network with one hidden layer that does as well as one with more.",
    replaces="the original: deep networks show high curvature without generalising. On numbers "
    "that suit the initial weights depth helps.",
)


def _gradient(results: PublishedDepth) -> Verdict:
    networks = [n for n in results.original("raw") if len(n.spectrum_steps) > 3]
    late = [n.gradient_share[n.spectrum_steps >= LATE] for n in networks]
    random = max(n.config.eigenpairs / n.config.n_parameters for n in networks)
    return Verdict(
        bool(min(np.median(shares) for shares in late) > 0.5),
        {
            "medians": extent((float(np.median(shares)) for shares in late), ".0%"),
            "least": float(min(shares.min() for shares in late)),
            "random": random,
            "count": len(networks),
        },
    )


GRADIENT = Claim(
    name="gradient-in-the-top-space",
    says="Late in training most of the gradient lies in the space of the twelve leading "
    "eigenvectors, at every depth, though not at every step.",
    evidence="From step 2,000 on the median share of its square is {medians} over the depths, the "
    "least at a single checkpoint {least:.0%}; {count} networks of one seed. A random direction "
    "has {random:.2%} or less.",
    decide=_gradient,
    seeds=1,
    null="a random direction",
    refuted_by="a depth with less than half of it there at most late checkpoints.",
)

CLAIMS = (
    FALLS_BEFORE_TRAINING,
    GROWS_NOT_IN_ORDER,
    SCALE_OF_THE_INPUTS,
    SCALE_FREE_ALIKE,
    NO_DEPTH_GENERALISES,
    SHARP_WITHOUT_GENERALISING,
    STANDARDISED,
    GRADIENT,
)
