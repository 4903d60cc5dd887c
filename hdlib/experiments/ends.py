"""Both ends of a spectrum, as stages store them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import Spectrum


def stored_ends(arrays: Mapping[str, NDArray], *, n: int, tol: float) -> Spectrum:
    """The spectrum of which as many eigenvalues at each end are stored, without its vectors.

    Args:
        arrays: ``eigenvalues`` (2k,), ``residuals`` (2k,) and the number of ``products``.
        n: number of all eigenvalues.
        tol: largest residual of a certified pair, over the largest |λ|.
    """
    eigenvalues = arrays["eigenvalues"]
    return Spectrum(
        n=n,
        eigenvalues=eigenvalues,
        lowest=len(eigenvalues) // 2,
        indices=np.arange(len(eigenvalues)),
        residuals=arrays["residuals"],
        vectors=np.empty((n, 0)),
        scale=float(np.abs(eigenvalues).max()),
        tol=tol,
        products=int(arrays["products"]),
    )
