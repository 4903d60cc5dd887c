"""Claims about the numbers themselves."""

from __future__ import annotations

import numpy as np

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.depth.recipe import TOLERANCE
from hdlib.experiments.depth.results import PublishedDepth


def _matrix_free(results: PublishedDepth) -> Verdict:
    errors, logged, count = [], [], 0
    network = results.compared
    for step, eigenvalues, found in network.exact:
        scale = np.abs(eigenvalues).max()
        truth = np.r_[eigenvalues[: found.lowest], eigenvalues[-found.highest :]]
        errors.append(np.abs(found.eigenvalues - truth).max() / scale)
        at = np.searchsorted(network.history["step"], step)
        logged.append(abs(network.history["largest_eigenvalue"][at] - eigenvalues[-1]) / scale)
        count += len(found.eigenvalues)
    return Verdict(
        bool(errors and max(errors) < 1e-9 and max(logged) < 1e-5),
        {"error": max(errors), "logged": max(logged), "count": count, "steps": len(errors)},
    )


MATRIX_FREE = Claim(
    name="matrix-free",
    says="What products find without the matrix is what the matrix has, with one hidden layer.",
    evidence="At {steps} checkpoints of the network with one hidden layer, {count} certified "
    "eigenvalues are those of the exact Hessian to {error:.0e} of |λ|max, and the logged largest "
    "one to {logged:.0e}.",
    decide=_matrix_free,
    seeds=1,
    null="the exact Hessian",
    refuted_by="a certified eigenvalue that the matrix does not have.",
)


def _not_zero(results: PublishedDepth) -> Verdict:
    smallest = min(float(values.min()) for values in _all_logged(results))
    sure = [n.spectra for n in results.networks]
    certified = min(
        int(
            (
                s["residuals"][-n.config.eigenpairs :] <= TOLERANCE * np.abs(s["eigenvalues"]).max()
            ).sum()
        )
        for n, spectra in zip(results.networks, sure, strict=True)
        for s in spectra
    )
    return Verdict(smallest > 0 and certified >= 1, {"smallest": smallest, "certified": certified})


def _all_logged(results: PublishedDepth) -> list[np.ndarray]:
    return [n.measured("largest_eigenvalue")[1] for n in results.networks]


NOT_ZERO = Claim(
    name="not-zero",
    says="No spectrum is zero, at any depth.",
    evidence="The least of all logged largest eigenvalues is {smallest:.2g}; at every checkpoint "
    "with a spectrum at least {certified} of the largest eigenvalues are certified.",
    decide=_not_zero,
    seeds=3,
    null="none",
    refuted_by="a largest eigenvalue of zero.",
    replaces="the original's spectra are zeros or missing at every depth: the weights that it "
    "differentiates by are copied without a gradient, so that the loss does not depend on them.",
)

CLAIMS = (MATRIX_FREE, NOT_ZERO)
