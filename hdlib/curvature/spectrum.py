"""What is known of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hdlib.saving import Saved

FloatArray = NDArray[np.float64]


class ConvergenceError(ArithmeticError):
    """A decomposition does not meet its tolerance."""


@dataclass(frozen=True, repr=False, eq=False)
class Spectrum(Saved):
    """Eigenvalues of a symmetric n × n matrix A that are known, all or those at its ends.

    Of n eigenvalues m are known: the ``lowest``, and the highest. The n − m others lie between
    these two, unresolved. Some of the known ones have a residual, and so a certificate of their
    own; those that have none are of a whole matrix, whose trace and norm closed.

    Attributes:
        n: how many eigenvalues A has.
        eigenvalues: (m,) float64, ascending.
        lowest: how many of these lie below the unresolved ones; m where all are known.
        indices: (k,) int64, which of them have a residual, ascending.
        residuals: (k,) float64, ‖Av − λv‖₂ of each such pair, in units of the eigenvalues.
        vectors: (n, v) float64, orthonormal columns, those of the v ≤ k highest of these pairs.
        scale: largest |λ| that was found of A, with which residuals are compared.
        tol: largest residual of a certified pair, over ``scale``.
        products: how many vectors were multiplied by A one by one.
        dtype: "float64" or "float32", of these products, and so of the residuals' own rounding.
        trace_error: |Σλ − tr A| over Σ|λ| where all of A was there, else None.
        frobenius_error: |(Σλ²)^½ − ‖A‖_F| over ‖A‖_F where all of A was there, else None.

    Raises:
        ValueError: if the parts do not fit together.
    """

    n: int
    eigenvalues: FloatArray
    lowest: int
    indices: NDArray[np.int64]
    residuals: FloatArray
    vectors: FloatArray
    scale: float
    tol: float
    products: int
    dtype: str = "float64"
    trace_error: float | None = None
    frobenius_error: float | None = None

    def __post_init__(self) -> None:
        m, k = len(self.eigenvalues), len(self.indices)
        values, indices = self.eigenvalues, self.indices
        for name, fits, allowed in (
            ("n", self.n >= max(m, 1), f"at least 1 and {m}, the number of known eigenvalues"),
            ("eigenvalues", values.ndim == 1 and np.isfinite(values).all(), "a finite vector"),
            ("eigenvalues", not (np.diff(values) < 0).any(), "ascending"),
            ("lowest", 0 <= self.lowest <= m, f"0 to {m}, the number of known eigenvalues"),
            (
                "indices",
                not k or (indices[0] >= 0 and indices[-1] < m and (np.diff(indices) > 0).all()),
                f"ascending from 0 to {m - 1}",
            ),
            ("scale", self.scale >= np.abs(values).max(initial=0), "at least the largest |λ|"),
            ("residuals", self.residuals.shape == (k,), f"({k},), as many as indices"),
            (
                "vectors",
                self.vectors.ndim == 2
                and len(self.vectors) == self.n
                and self.vectors.shape[1] <= k,
                f"({self.n}, at most {k})",
            ),
        ):
            if not fits:
                raise ValueError(f"{name} of a Spectrum must be {allowed}")

    @property
    def _first_kept(self) -> int:
        """Position among the pairs of the lowest one whose vector is kept."""
        return len(self.indices) - self.vectors.shape[1]

    @property
    def kept(self) -> NDArray[np.int64]:
        """(v,) int64, to which eigenvalues the vectors belong, ascending."""
        return self.indices[self._first_kept :]

    @property
    def highest(self) -> int:
        """How many of the known eigenvalues lie above the unresolved ones."""
        return len(self.eigenvalues) - self.lowest

    @property
    def unresolved(self) -> int:
        """How many eigenvalues lie unresolved above the lowest and below the highest known ones."""
        return self.n - len(self.eigenvalues)

    @property
    def certified(self) -> NDArray[np.bool_]:
        """(m,) whether an eigenvalue is certified: no residual of its own is above tolerance."""
        certified = np.ones(len(self.eigenvalues), dtype=bool)
        certified[self.indices] = self._relative_residuals <= self.tol
        return certified

    @property
    def _relative_residuals(self) -> FloatArray:
        return self.residuals / self.scale if self.scale else self.residuals

    def certified_ends(self) -> Spectrum:
        """What is certain at both ends: pairs that are certified, and all further out as well.

        A pair that is certified beside others that are not may have any rank among them. What lies
        beyond the first of these, seen from either end, counts as unresolved.
        """
        low, high = np.split(self.certified, [self.lowest])
        return self.ends(
            lowest=int(np.logical_and.accumulate(low).sum()),
            highest=int(np.logical_and.accumulate(high[::-1]).sum()),
        )

    def ends(self, *, lowest: int, highest: int) -> Spectrum:
        """The same spectrum with fewer eigenvalues known.

        Args:
            lowest: how many at the lower end.
            highest: how many at the upper end.

        Raises:
            ValueError: if not so many are known there.
        """
        m = len(self.eigenvalues)
        self._require(lowest, self.lowest, "lowest eigenvalues")
        self._require(highest, self.highest, "highest eigenvalues")
        if lowest + highest >= m:
            return self
        kept = np.r_[:lowest, m - highest : m]
        pairs = np.isin(self.indices, kept)
        return replace(
            self,
            eigenvalues=self.eigenvalues[kept],
            lowest=lowest,
            indices=np.searchsorted(kept, self.indices[pairs]),
            residuals=self.residuals[pairs],
            vectors=self.vectors[:, pairs[self._first_kept :]],
            trace_error=None,
            frobenius_error=None,
        )

    def with_vectors(self, count: int) -> Spectrum:
        """The same spectrum with the vectors of its ``count`` highest eigenvalues alone.

        Raises:
            ValueError: if not all of them are known.
        """
        return replace(self, vectors=np.ascontiguousarray(self.top(count)[:, ::-1]))

    def top(self, k: int) -> FloatArray:
        """Eigenvectors of the k largest eigenvalues, (n, k), that of the largest first.

        Raises:
            ValueError: if not all of them are known.
        """
        self._require(k, self.highest, "top eigenvectors")
        return self._vectors(len(self.eigenvalues) - 1 - np.arange(k), f"top {k}")

    def bottom(self, k: int) -> FloatArray:
        """Eigenvectors of the k smallest eigenvalues, (n, k), that of the smallest first.

        Raises:
            ValueError: if not all of them are known.
        """
        self._require(k, self.lowest, "bottom eigenvectors")
        return self._vectors(np.arange(k), f"bottom {k}")

    def _require(self, wanted: int, known: int, what: str) -> None:
        """Refuse more than is known at an end; where all are known, each end has all."""
        known = known if self.unresolved else self.n
        if not 0 <= wanted <= known:
            raise ValueError(f"the {wanted} {what} were asked for, {known} eigenvalues are known")

    def _vectors(self, wanted: NDArray[np.int64], name: str) -> FloatArray:
        if not np.isin(wanted, self.kept).all():
            raise ValueError(f"the {name} eigenvectors were asked for, not all are known")
        return self.vectors[:, np.searchsorted(self.kept, wanted)]

    def __repr__(self) -> str:
        if self.unresolved:
            known = f"{self.lowest:,} lowest and {self.highest:,} highest known"
            spans = ", ".join(
                f"{end[0]:.6g} … {end[-1]:.6g}"
                for end in np.split(self.eigenvalues, [self.lowest])
                if len(end)
            )
            lines = [f"{known}, {self.unresolved:,} between unresolved", f"λ: {spans or 'none'}"]
        else:
            lines = ["all known", f"λ: {self.eigenvalues[0]:.6g} … {self.eigenvalues[-1]:.6g}"]
        if self.trace_error is not None and self.frobenius_error is not None:
            worst = max(self.trace_error, self.frobenius_error)
            lines.append(f"trace and Frobenius norm close to {worst:.0e}")
        if pairs := len(self.indices):
            sure = int((self._relative_residuals <= self.tol).sum())
            lines.append(
                f"{sure:,} of {pairs:,} pairs certified to {self.tol:.0e} of the largest |λ|, "
                f"worst residual {self._relative_residuals.max():.0e}, {self.dtype} products"
            )
        return "\n  ".join([f"Spectrum of {self.n:,} eigenvalues, {lines[0]}", *lines[1:]])
