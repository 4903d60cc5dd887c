"""Spectra and trajectories of given eigenvalues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hdlib import Spectrum, Trajectory


def known(values: ArrayLike, *, n: int | None = None, lowest: int | None = None) -> Spectrum:
    """A spectrum of which these eigenvalues are known, all of them by default."""
    values = np.sort(np.asarray(values, dtype=np.float64))
    size, none = n or len(values), np.empty(0)
    return Spectrum(
        n=size,
        eigenvalues=values,
        lowest=len(values) if lowest is None else lowest,
        indices=none.astype(np.int64),
        residuals=none,
        vectors=np.empty((size, 0)),
        scale=float(np.abs(values).max(initial=0)),
        tol=0.0,
        products=0,
    )


def through(steps: ArrayLike, spectra: Sequence[Spectrum] | ArrayLike) -> Trajectory:
    """A trajectory of spectra, or of (T, n) eigenvalues."""
    found = [s if isinstance(s, Spectrum) else known(s) for s in spectra]  # pyright: ignore
    return Trajectory(np.asarray(steps, dtype=np.int64), tuple(found))
