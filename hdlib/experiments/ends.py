"""Both ends of a spectrum, and the quadrature for the rest, as stages store them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import Density, Spectrum


def stored_ends(
    arrays: Mapping[str, NDArray], *, n: int, tol: float, lowest: int | None = None
) -> Spectrum:
    """The spectrum of which eigenvalues at the ends are stored, without its vectors.

    Args:
        arrays: ``eigenvalues`` (m,), ``residuals`` (m,) and the number of ``products``.
        n: number of all eigenvalues.
        tol: largest residual of a certified pair, over the largest |λ|.
        lowest: how many of the m are at the lower end; as many as at the upper one where it is
            None.
    """
    eigenvalues = arrays["eigenvalues"]
    return Spectrum(
        n=n,
        eigenvalues=eigenvalues,
        lowest=len(eigenvalues) // 2 if lowest is None else lowest,
        indices=np.arange(len(eigenvalues)),
        residuals=arrays["residuals"],
        vectors=np.empty((n, 0)),
        scale=float(np.abs(eigenvalues).max()),
        tol=tol,
        products=int(arrays["products"]),
    )


def stored_density(
    arrays: Mapping[str, NDArray], *, n: int, certified: NDArray[np.bool_]
) -> Density:
    """The density of the whole spectrum: certified pairs exactly, by quadrature all others.

    Args:
        arrays: ``eigenvalues`` (m,), ``density_diagonal`` and ``density_coupling`` (probes, k).
        n: number of all eigenvalues.
        certified: (m,), those that were taken out of the quadrature.
    """
    return Density(
        n,
        arrays["eigenvalues"][certified],
        arrays["density_diagonal"],
        arrays["density_coupling"],
    )
