"""Circuits: eigenvectors grouped by the outputs that they move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hdlib.clustering.circuit_groups import Circuits
from hdlib.clustering.grouping import (
    Grouping,
    drawn_nulls,
    energy_shares,
    groupings,
    in_concentrating_basis,
)
from hdlib.curvature.inputs.data import Data
from hdlib.curvature.responses import Features, response_curvatures
from hdlib.curvature.spectrum import ConvergenceError, Spectrum

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST = 8
"""Largest number of groups that is looked for."""
STILL = 1e-12
"""A vector or feature with less than so much of the largest energy does not move."""


def circuits(
    spectrum: Spectrum,
    model: nn.Module,
    data: Data,
    *,
    features: Features = None,
    k: int | None = None,
    tolerance: float | None = None,
    draws: int = 100,
    seed: int = 0,
    parameters: Sequence[str] | None = None,
) -> Circuits:
    """Group the eigenvectors of a spectrum by the outputs that they move.

    What an eigenvector v of a curvature matrix *does* is J v, with J the Jacobian of the outputs.
    Mᵢ_f, the mean over the samples of the squared change of feature f along vᵢ, with rows that sum
    to 1, is the bipartite graph of vectors and features. Features are grouped by its normalised cut
    (Dhillon 2001; `column_groups`); a vector belongs to the group in whose features it has most
    energy beyond what vectors have there on average, which makes the bipartite modularity (Barber
    2007) of these groups as large as it gets. The number of groups is that whose modularity is
    highest over its mean where the features of each vector are permuted (the gap statistic of
    Tibshirani, Walther & Hastie 2001), from 2 to 8.

    Two nulls say whether there is anything, and search for the number of groups in the same way.
    *Rotated*: in random orthonormal bases of the same span (Haar), is as much found? Then it is not
    the eigenvectors that belong to groups. *Permuted*: each vector keeps its energies and gives
    them to random features. Is as much found? Then vectors move few features each, but not the same
    ones. Circuits are found where both are beaten.

    What is found need not have been learnt: networks are wired, and the last layer of an untrained
    one repeats its directions in the outputs for each direction of its inputs. So take the network
    before training, or one trained on shuffled labels, beside it.

    Where eigenvalues are equal, eigenvectors are any basis of their span; the one that is taken
    moves as few features as may be with each of its vectors (`concentrating_basis`), in the nulls
    as well. Vectors that move nothing, as those of a symmetry, belong to no group.

    Args:
        spectrum: of a Hessian or Gauss–Newton matrix, with the vectors that are to be grouped:
            ``spectrum.with_vectors(60)`` keeps those of the 60 largest eigenvalues.
        model: model at which the spectrum was computed, as `hdlib.hessian` takes it.
        data: samples, as `hdlib.hessian` takes them; targets are not used.
        features: parts of the outputs: an array (F, C) with a row of numbers for each feature, one
            of (F, r, C) for features of r dimensions, such as the cosine and sine of a frequency of
            the classes, or a linear function of changes (m, n, C) that returns (m, n, F) or
            (m, n, F, r). By default each output is one, as it is: a constant that is added to all
            logits moves no loss and counts here; ``np.eye(C) - 1 / C`` leaves it out.
        k: number of groups; by default chosen.
        tolerance: relative to the largest |λ|, distance of neighbouring eigenvalues that count as
            equal; by default the tolerance to which they are certified.
        draws: number of draws of each null, S.
        seed: seed of the draws.
        parameters: names of parameters or modules, as for `hdlib.hessian`, if the spectrum is
            theirs.

    Raises:
        ConvergenceError: if pairs of the spectrum are not certified.
        ValueError: if the spectrum has fewer than two vectors, or is of another number of
            parameters, fewer than two features or vectors move, or for an option that cannot be.

    Example:
        Of four outputs the first two are computed with other weights than the last two:

        >>> import torch
        >>> from hdlib import hessian, spectrum
        >>> class Two(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.one, self.other = (
        ...             nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(2)
        ...         )
        ...     def forward(self, x):
        ...         return torch.cat([self.one(x[:, :3]), self.other(x[:, 3:])], 1)
        >>> _ = torch.manual_seed(0)
        >>> model, data = Two(), (torch.randn(100, 6), torch.randn(100, 4))
        >>> H = hessian(model, nn.functional.mse_loss, data)
        >>> found = circuits(spectrum(H).with_vectors(20), model, data, draws=40)
        >>> found.found, found.feature_groups.tolist()
        (True, [0, 0, 1, 1])
        >>> bool(found.purity.min() > 0.999)
        True
        >>> found.spectrum(0).n + found.spectrum(1).n
        20
    """
    _require(spectrum, k, tolerance, draws)
    vectors = response_curvatures(
        model, data, spectrum.vectors, features=features, parameters=parameters
    )
    values = spectrum.eigenvalues[spectrum.kept]
    equal = (spectrum.tol if tolerance is None else tolerance) * spectrum.scale
    blocks = np.split(np.arange(len(values)), np.flatnonzero(np.diff(values) > equal) + 1)
    basis, curvatures = in_concentrating_basis(vectors, blocks)

    energies = np.diagonal(curvatures, axis1=1, axis2=2)
    rows, columns = (_moving(energies.sum(axis)) for axis in (0, 1))
    most = min(len(rows), len(columns))
    if most < 2:
        raise ValueError(
            f"{len(rows)} of {len(values)} vectors move {len(columns)} of {len(energies)} features:"
            " two of each are needed"
        )
    if k is not None and k > most:
        raise ValueError(f"k={k}: must be 2 to {most}, the number of vectors or features that move")
    counts = range(2, min(MOST, most) + 1) if k is None else range(k, k + 1)
    moving = curvatures[np.ix_(columns, rows, rows)]
    free = [np.flatnonzero(np.isin(rows, block)) for block in blocks]
    nulls = drawn_nulls(moving, free, counts, draws=draws, seed=seed)
    found, centre = groupings(energy_shares(moving), counts), nulls.permuted.mean(0)
    excess = [each.modularity - mean for each, mean in zip(found, centre, strict=True)]
    best = int(np.argmax(excess))

    groups, feature_groups = np.full(len(values), -1), np.full(len(energies), -1)
    groups[rows], feature_groups[columns] = _numbered(found[best])
    return Circuits(
        eigenvalues=(basis**2).T @ values,
        basis=basis,
        curvatures=curvatures,
        groups=groups,
        feature_groups=feature_groups,
        excess=float(excess[best]),
        rotated=(nulls.rotated - centre).max(1),
        permuted=(nulls.permuted - centre).max(1),
    )


def _require(spectrum: Spectrum, k: int | None, tolerance: float | None, draws: int) -> None:
    kept = spectrum.vectors.shape[1]
    if kept < 2:
        raise ValueError(
            f"{kept} vectors are kept in the spectrum, at least two are needed: "
            "hdlib.spectrum(H, vectors=60)"
        )
    if not spectrum.certified[spectrum.kept].all():
        raise ConvergenceError(
            f"{int((~spectrum.certified[spectrum.kept]).sum())} of {kept} eigenpairs are not "
            "certified; give Lanczos more products, or take spectrum.certified_ends()"
        )
    if k is not None and k < 2:
        raise ValueError(f"k={k}: must be at least 2")
    if tolerance is not None and not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance={tolerance}: must not be negative")
    if draws < 1:
        raise ValueError(f"draws={draws}: must be at least 1")


def _moving(energies: FloatArray) -> IntArray:
    return np.flatnonzero(energies > STILL * energies.max(initial=0))


def _numbered(found: Grouping) -> tuple[IntArray, IntArray]:
    """Groups of vectors and features, numbered from that of the last, largest eigenvalue on.

    Features of a group that no vector is in have none.
    """
    used = list(dict.fromkeys(found.vectors[::-1].tolist()))
    number = np.full(found.features.max() + 1, -1)
    number[used] = np.arange(len(used))
    return number[found.vectors], number[found.features]
