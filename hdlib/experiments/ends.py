"""Both ends of a spectrum, and the quadrature for the rest, as stages store them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from hdlib.curvature import CurvatureOperator, Density, Spectrum, density
from hdlib.store import Agreement, Arrays


def end_arrays(
    operator: CurvatureOperator, ends: Spectrum, *, probes: int, nodes: int
) -> dict[str, NDArray]:
    """Pairs at both ends of a spectrum, and the quadrature for all others, as arrays.

    Args:
        operator: the matrix, of n rows, whose products the quadrature takes.
        ends: m pairs with their vectors; those that are certified are taken out of the quadrature.
        probes: random vectors of the quadrature.
        nodes: nodes k for each of them.

    Returns:
        ``eigenvalues`` (m,), ``residuals`` (m,) and the number of ``products``, which `stored_ends`
        reads; ``density_diagonal`` and ``density_coupling`` (probes, k), for `stored_density`.
    """
    sure = ends.certified
    known = torch.from_numpy(ends.eigenvalues[sure]), torch.from_numpy(ends.vectors[:, sure])
    rest = density(operator, probes=probes, steps=nodes, deflate=known)
    return {
        "eigenvalues": ends.eigenvalues,
        "residuals": ends.residuals,
        "density_diagonal": rest.diagonal,
        "density_coupling": rest.coupling,
        "products": np.array(ends.products),
    }


def certified_agreement(
    certified: Callable[[Arrays], NDArray[np.bool_]], *, allowed: float
) -> Callable[[Arrays, Arrays], list[Agreement]]:
    """A comparison of eigenvalues that are certified in both; both are known to their residuals.

    Args:
        certified: arrays with ``eigenvalues`` (m,) ↦ which of them are certified, (m,).
        allowed: largest difference, over the largest stored |λ|, that counts as rounding.
    """

    def compare(stored: Arrays, recomputed: Arrays) -> list[Agreement]:
        scale = np.abs(stored["eigenvalues"]).max()
        sure = certified(stored) & certified(recomputed)
        pairs = [arrays["eigenvalues"][sure] for arrays in (stored, recomputed)]
        apart = float(np.abs(pairs[0] - pairs[1]).max(initial=0.0) / scale)
        return [Agreement("certified eigenvalues over |λ|max", apart, allowed)]

    return compare


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
