"""Claims about the algebraic connectivity of the network and of its layers."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.fiedler.claims.modules import AFTER, BEFORE
from hdlib.experiments.fiedler.results import PublishedFiedler

EPOCH, LONG = 469, 3_283
"""The end of the first epoch, and of the time in which the linear layer stays as it is."""


def _whole_connects(found: PublishedFiedler) -> Verdict:
    results, other = found.default, found.second.connectivities["network"]
    network, null = results.connectivities["network"], results.null_connectivity
    start, epoch = network[results.at(0)], network[results.at(EPOCH)]
    least = min(null.min(), found.second.null_connectivity.min())
    return Verdict(
        bool(
            epoch > start + 0.2
            and (network < null - 0.2).all()
            and least > 0.9
            and other[0] > 0.6
            and not other[1:].any()
        ),
        {"start": start, "epoch": epoch, "null": least, "other": other[0]},
    )


def _linear_loosens(found: PublishedFiedler) -> Verdict:
    results = found.default
    values = results.connectivities
    linear = values["linear"]
    before, after = linear[results.at(BEFORE)], linear[results.at(AFTER)]
    near = linear[results.at(AFTER) : results.at(LONG) + 1]
    convolutions = {name: values[name][[0, -1]] for name in ("conv1", "conv2")}
    return Verdict(
        bool(
            abs(after / before - 0.5) < 0.05
            and 0.24 < near.min() <= near.max() < 0.32
            and linear[-1] < 0.1
            and all(np.diff(ends) > 0.1 for ends in convolutions.values())
        ),
        {
            "before": before,
            "after": after,
            "near": extent(near, ".2f"),
            "long": LONG,
            "end": linear[-1],
            **{name: " to ".join(f"{v:.2f}" for v in v) for name, v in convolutions.items()},
        },
    )


CLAIMS = (
    Claim(
        "whole-connects",
        "In the first seed the whole network becomes more connected in the first epoch, always "
        "far less than its null; the second seed does not confirm it.",
        "λ₂ goes from {start:.2f} to {epoch:.2f}, that of the nulls is above {null:.2f}. The "
        "second network begins at {other:.2f} and is in pieces, λ₂ = 0, from step 10 on, because "
        "of the parameters without any coupling.",
        _whole_connects,
        seeds=2,
        null="couplings permuted within each block of two layers",
        refuted_by="other images with which λ₂ of this network does not rise. Of networks in "
        "general it is refuted by the second seed.",
        replaces="the second seed was left out.",
    ),
    Claim(
        "linear-loosens",
        "The linear layer becomes less connected: its λ₂ halves between steps 10 and 50, stays "
        "near that for thousands of steps, and falls further.",
        "From {before:.2f} to {after:.2f}, then {near} up to step {long:,}, and {end:.2f} at the "
        "end. The convolutions end more connected than they began: {conv1} and {conv2}.",
        _linear_loosens,
        seeds=1,
        null="none",
        refuted_by="another seed without silent numbers in which it does not halve.",
        replaces="the halving was taken for the moment when the classes part; they are apart "
        "before, in the Gauss–Newton part of the untrained network.",
    ),
)
