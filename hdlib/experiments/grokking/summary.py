"""Measures of the whole spectrum, from certified ends and the quadrature between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.ends import stored_density
from hdlib.trajectory import Trajectory

Array = NDArray[np.float64]

NEGATIVE = 1e-4
"""An eigenvalue below so much of the largest |λ| counts as negative: what is nearer to zero the
quadrature cannot tell from it."""


def summary(
    trajectory: Trajectory, spectra: Sequence[Mapping[str, NDArray]], *, n_parameters: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Measures of the whole spectrum at each of S checkpoints, and their errors.

    Trace, entropy and the number of eigenvalues below −10⁻⁴ |λ|max come from the quadrature. Errors
    of the first two are standard errors; that of the number covers all that the quadrature leaves
    open. Where the lowest pair is not certified, the smallest eigenvalue is an upper bound, as
    every Ritz value is.

    Args:
        trajectory: what is certified at the checkpoints.
        spectra: arrays stored at each of them.
        n_parameters: order of the Hessian.

    Returns:
        By name, (S,) each: step, trace, spectral entropy in nats, number of negative eigenvalues,
        largest and smallest eigenvalue; and errors of the second to the fourth.
    """
    densities = [
        stored_density(found, n=n_parameters, certified=found["converged"]) for found in spectra
    ]
    largest = trajectory.eigenvalues[:, -1]
    lowest = np.array([found["eigenvalues"][0] for found in spectra])
    bounds = -NEGATIVE * np.maximum(largest, -lowest)
    traces = [density.trace() for density in densities]
    entropies = [density.entropy() for density in densities]
    counts = [d.count(-np.inf, bound) for d, bound in zip(densities, bounds, strict=True)]
    measures = {
        "step": trajectory.steps,
        "trace": np.array([trace.value for trace in traces]),
        "spectral_entropy": np.array([entropy.value for entropy in entropies]),
        "n_negative": np.array([count.value for count in counts]),
        "largest_eigenvalue": largest,
        "smallest_eigenvalue": lowest,
    }
    errors = {
        "trace": np.array([trace.standard_error for trace in traces]),
        "spectral_entropy": np.array([entropy.standard_error for entropy in entropies]),
        "n_negative": np.array([(c.highest - c.lowest) / 2 + c.standard_error for c in counts]),
    }
    return measures, errors
