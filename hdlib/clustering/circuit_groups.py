"""Circuits that were found: groups of eigenvectors and of the features that they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.grouping import group_shares
from hdlib.curvature.spectrum import Spectrum
from hdlib.saving import Saved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL = 0.05


@dataclass(frozen=True, repr=False, eq=False)
class Circuits(Saved):
    """Eigenvectors and features of the outputs in groups, and how sure it is that there are any.

    Groups are numbered from that with the largest eigenvalue on.

    Attributes:
        eigenvalues: (m,) float64, ascending; vᵀAv of each vector.
        basis: (m, m) float64, the vectors: ``spectrum.vectors @ basis``; the identity but where
            eigenvalues are equal.
        curvatures: (F, m, m) float64, Vᵀ G_f V of these vectors (see `response_curvatures`).
        groups: (m,) int64 group of each vector, −1 where it moves no output.
        feature_groups: (F,) int64 group of each feature, −1 where no vector moves it.
        excess: modularity of these groups over its mean in permuted features.
        rotated: (S,) float64, that excess in random rotations of the span of the vectors.
        permuted: (S,) float64, that excess with the features of each vector permuted.
    """

    eigenvalues: FloatArray
    basis: FloatArray
    curvatures: FloatArray
    groups: IntArray
    feature_groups: IntArray
    excess: float
    rotated: FloatArray
    permuted: FloatArray

    @property
    def n_groups(self) -> int:
        """Number of groups, k."""
        return int(self.groups.max()) + 1

    @property
    def energies(self) -> FloatArray:
        """M, (m, F): mean squared change of each feature along each vector."""
        return np.diagonal(self.curvatures, axis1=1, axis2=2).T.clip(min=0)

    @property
    def shares(self) -> FloatArray:
        """(m, k) share of each vector's energy in the features of each group; 0 if it has none."""
        return group_shares(self.energies, self.feature_groups, self.n_groups)

    @property
    def purity(self) -> FloatArray:
        """(m,) share of each vector's energy in the features of its own group; NaN if it has none.

        With k groups of equal size 1/k is what a vector has that knows of none.
        """
        own = self.shares[np.arange(len(self.groups)), self.groups]
        return np.where(self.groups >= 0, own, np.nan)

    @property
    def modularity(self) -> float:
        """Bipartite modularity (Barber 2007), each vector weighted alike: 0 … 1 − 1/k.

        It is the mean over the vectors of their purity less the share that the features of their
        group have on average.
        """
        moving = self.groups >= 0
        gains = self.shares[moving] - self.shares[moving].mean(0)
        return float(gains[np.arange(moving.sum()), self.groups[moving]].mean())

    @property
    def p(self) -> float:
        """The larger of (1 + draws with as much excess) / (1 + draws) of the two nulls."""
        nulls = (self.rotated, self.permuted)
        return max(float((1 + (null >= self.excess).sum()) / (1 + len(null))) for null in nulls)

    @property
    def threshold(self) -> float:
        """The excess that 95% of the draws stay below, whichever null is taken."""
        return max(float(np.quantile(null, 1 - LEVEL)) for null in (self.rotated, self.permuted))

    @property
    def found(self) -> bool:
        """Whether there are circuits: p ≤ 0.05."""
        return self.p <= LEVEL

    def spectrum(self, group: int) -> Spectrum:
        """Spectrum of A restricted to the span of a group's vectors: of V_gᵀ A V_g.

        All of its eigenvalues are known, so that its gaps can be read: ``hdlib.dendrogram`` of it,
        or `hdlib.measures.gap_test` of its eigenvalues. That test takes them as one spectrum, whose
        eigenvalues repel (`hdlib.measures.spacing_ratio` about 0.53). A random part of a spectrum
        does not, and has wide gaps by chance: where a group's ratio is lower, the null of a gap is
        that of random groups of the same size.

        Raises:
            ValueError: if there is no such group.
        """
        if not 0 <= group < self.n_groups:
            raise ValueError(f"group={group}: must be 0 to {self.n_groups - 1}")
        values = np.sort(self.eigenvalues[self.groups == group])
        none = np.empty(0)
        return Spectrum(
            n=len(values),
            eigenvalues=values,
            lowest=len(values),
            indices=none.astype(np.int64),
            residuals=none,
            vectors=np.empty((len(values), 0)),
            scale=float(np.abs(values).max()),
            tol=0.0,
            products=0,
        )

    def __repr__(self) -> str:
        moving = int((self.groups >= 0).sum())
        verdict = "" if self.found else "no circuits found: "
        lines = [
            f"Circuits: {verdict}{moving} eigenvectors in {self.n_groups} groups",
            f"modularity {self.modularity:.3f}, {self.excess:+.3f} over permuted features "
            f"(95% of nulls below {self.threshold:+.3f}; p = {self.p:.2g})",
        ]
        for group in range(self.n_groups):
            values = self.spectrum(group).eigenvalues
            features = ", ".join(map(str, np.flatnonzero(self.feature_groups == group)))
            shown = features if len(features) <= 40 else features[:38].rpartition(",")[0] + ", …"
            lines.append(
                f"{group}: {len(values)} eigenvectors, λ {values[0]:.4g} … {values[-1]:.4g}, "
                f"purity {self.purity[self.groups == group].mean():.2f}; features {shown}"
            )
        return "\n  ".join(lines)
