"""Claims about the ends of the spectrum: what is certified, and where eigenvectors lie."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.recipe import lower_ends
from hdlib.experiments.grokking.results import PublishedGrokking


def _positions_and_keys(published: PublishedGrokking) -> Verdict:
    spectra = published.results.spectra[published.between(200, 17_000)]
    chosen = _columns(published, "position", "key")
    shares = np.array([found["tensor_weights"][-3:, chosen].sum(1).mean() for found in spectra])
    almost = float(np.mean(shares > 0.9))
    return Verdict(
        bool(almost > 0.8 and shares.min() > 0.6), {"almost": almost, "least": shares.min()}
    )


POSITIONS_AND_KEYS = Claim(
    name="positions-and-keys",
    says="The leading directions are those of attention to position: from step 200 on the "
    "eigenvectors of the three largest eigenvalues lie mostly, at nearly all checkpoints almost "
    "wholly, in the positional embedding and the keys.",
    evidence="More than 90% of their weight lies there at {almost:.0%} of the checkpoints, and "
    "{least:.0%} at the least. They shift how much attention *every* pair pays to its first and "
    "second number.",
    decide=_positions_and_keys,
    seeds=1,
    null="none",
    refuted_by="a checkpoint at which most of their weight lies elsewhere.",
)


def _symmetry_below(published: PublishedGrokking, count: int = 50) -> Verdict:
    looked_at = published.between(200, 17_000)
    at = zip(
        published.results.spectrum_steps[looked_at],
        published.results.spectra[looked_at],
        strict=True,
    )
    found_at = [(step, found) for step, found in at if found["converged"][:count].all()]
    steps, sure = [step for step, _ in found_at], [found for _, found in found_at]
    if not sure:
        told = f"The {count} lowest eigenvectors are certified at none of these checkpoints."
        return Verdict(False, {"steps": "none"}, told)
    chosen = _columns(published, "position", "key")
    weights = np.array([found["tensor_weights"][:count, chosen].mean(0) for found in sure])
    ratios = [found["eigenvalues"][count - 1] / found["eigenvalues"][0] for found in sure]
    low, high = weights.min(0), weights.max(0)
    return Verdict(
        bool(
            0.35 < low[0] <= high[0] < 0.55
            and 0.4 < low[1] <= high[1] < 0.55
            and np.median(ratios) > 0.85
        ),
        {
            "steps": listed(steps, ","),
            "position": extent(weights[:, 0], ".0%"),
            "key": extent(weights[:, 1], ".0%"),
            "ratio": float(np.median(ratios)),
        },
    )


SYMMETRY_BELOW = Claim(
    name="symmetry-below",
    says="The tight cluster at the lower end is symmetry: where all of the 50 lowest eigenvectors "
    "are certified, from step 200 on at {steps} alone, they lie about half in the positional "
    "embedding and half in the keys, with nearly equal eigenvalues.",
    evidence="{position} of their weight is in the positional embedding and {key} in the keys, and "
    "the fiftieth eigenvalue is {ratio:.2f} of the lowest. A score is a product of the two, and "
    "for such a product the part of the Hessian that is not Gauss–Newton is the same for each of "
    "its 128 inner coordinates: one curvature, 128 times over.",
    decide=_symmetry_below,
    seeds=1,
    null="none",
    refuted_by="a tight cluster of lowest eigenvalues whose eigenvectors lie elsewhere.",
)


def _certified(published: PublishedGrokking) -> Verdict:
    results, spectra = published.results, published.results.spectra
    k = results.config.eigenpairs
    below = np.array([int(found["converged"][:k].sum()) for found in spectra])
    waited = np.isin(results.spectrum_steps, lower_ends(results.run))
    last = spectra[-1]["eigenvalues"]
    crowded = abs(last[0]) / last[-1]
    return Verdict(
        bool(
            all(found["converged"][k:].all() for found in spectra)
            and below.min() < k
            and crowded < 1e-2
        ),
        {
            "spectra": len(spectra),
            "k": k,
            "waited": listed(results.spectrum_steps[waited], ","),
            "there": listed(below[waited], "d"),
            "elsewhere": extent(below[~waited], "d"),
            "crowded": crowded,
        },
    )


CERTIFIED = Claim(
    name="certified",
    says="The upper end of the spectrum is certified at every checkpoint; the lower end is not.",
    evidence="All {k} highest eigenvalues are certified at all {spectra} checkpoints. The lower "
    "end is waited for at steps {waited}: of the {k} lowest {there} are certified there, and "
    "{elsewhere} elsewhere, where the search stops with the upper end. At the last checkpoint the "
    "lowest that was found is {crowded:.0e} λmax below zero.",
    decide=_certified,
    seeds=1,
    null="the residual of each pair, at most 10⁻⁶ of the largest |λ|",
    refuted_by="`hdlib verify`, which recomputes pairs from the weights, where they disagree.",
)


def _columns(published: PublishedGrokking, *tensors: str) -> list[int]:
    """Columns of ``tensor_weights``."""
    names = [name for name, _ in published.results.config.model().named_parameters()]
    return [names.index(tensor) for tensor in tensors]


CLAIMS = (POSITIONS_AND_KEYS, SYMMETRY_BELOW, CERTIFIED)
