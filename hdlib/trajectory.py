"""Spectra through training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering import Dendrogram, Gap, Tracks, at_step, dendrogram, follow
from hdlib.curvature import Spectrum
from hdlib.saving import Saved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FINEST = 1e-9
"""Finest resolution over the largest gap, where nothing else is said."""


@dataclass(frozen=True, repr=False, eq=False)
class Trajectory(Saved):
    """What is known of a spectrum at each of T checkpoints.

    Attributes:
        steps: (T,) int64, training steps ≥ 0, ascending.
        spectra: T spectra of n eigenvalues each; how many are known may differ.

    Raises:
        ValueError: if the parts do not fit together.
    """

    _saved_within: ClassVar = {"spectra": Spectrum}

    steps: IntArray
    spectra: tuple[Spectrum, ...]

    def __post_init__(self) -> None:
        steps, sizes = self.steps, {spectrum.n for spectrum in self.spectra}
        for name, fits, allowed in (
            ("steps", steps.ndim == 1 and len(steps) > 0, "a non-empty vector"),
            ("steps", steps.dtype == np.int64 and (steps >= 0).all(), "int64 ≥ 0"),
            ("steps", (np.diff(steps) > 0).all(), f"strictly ascending, got {steps}"),
            ("spectra", len(self.spectra) == len(steps), f"{len(steps)}, one for each step"),
            ("spectra", len(sizes) == 1, f"of one size, got n of {sorted(sizes)}"),
        ):
            if not fits:
                raise ValueError(f"{name} of a Trajectory must be {allowed}")

    @property
    def n(self) -> int:
        """How many eigenvalues each spectrum has."""
        return self.spectra[0].n

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[int, Spectrum]]:
        """Each step with its spectrum, ascending."""
        return zip(self.steps.tolist(), self.spectra, strict=True)

    def __contains__(self, step: object) -> bool:
        return step in self.steps.tolist()

    def __getitem__(self, step: int) -> Spectrum:
        """The spectrum at a step.

        Raises:
            KeyError: if there is no checkpoint at this step.
        """
        return self.spectra[self._position(step)]

    def at(self, steps: Iterable[int]) -> Trajectory:
        """The trajectory at some of its steps only, in whichever order they are given.

        Raises:
            KeyError: if there is no checkpoint at one of them.
            ValueError: if there is none of them, or one twice.
        """
        positions = sorted(self._position(step) for step in steps)
        return Trajectory(self.steps[positions], tuple(self.spectra[i] for i in positions))

    def _position(self, step: int) -> int:
        if step not in self:
            raise KeyError(f"no checkpoint at step {step}: there are {self.steps.tolist()}")
        return int(np.searchsorted(self.steps, step))

    def certified_ends(self) -> Trajectory:
        """The same ranks at every checkpoint, all certified.

        Each spectrum is cut to its `Spectrum.certified_ends`, and at either end to as many
        eigenvalues as are certain at every checkpoint.
        """
        return self._with(spectrum.certified_ends() for spectrum in self.spectra)._common()

    def _common(self) -> Trajectory:
        """As many eigenvalues at either end as are known at every checkpoint."""
        lowest = min(s.lowest if s.unresolved else s.n for s in self.spectra)
        highest = min(s.highest if s.unresolved else s.n for s in self.spectra)
        return self._with(s.ends(lowest=lowest, highest=highest) for s in self.spectra)

    def _with(self, spectra: Iterable[Spectrum]) -> Trajectory:
        return Trajectory(self.steps, tuple(spectra))

    @cached_property
    def eigenvalues(self) -> FloatArray:
        """(T, m) float64, ascending: those of the ranks that are known at every checkpoint.

        They may not all be certified; those of `certified_ends` are.
        """
        return np.stack([spectrum.eigenvalues for spectrum in self._common().spectra])

    def relative(self) -> Trajectory:
        """Each spectrum over its largest eigenvalue, which becomes 1.

        Raises:
            ValueError: if that of a checkpoint is not known or not positive.
        """
        return self._with(_relative(step, spectrum) for step, spectrum in self)

    @cached_property
    def dendrograms(self) -> tuple[Dendrogram, ...]:
        """T, each of all that is known at its checkpoint.

        Raises:
            ConvergenceError: if pairs are not certified; take those of `certified_ends`.
            ValueError: if nothing is known of a spectrum.
        """
        trees = []
        for step, spectrum in self:
            with at_step(step):
                trees.append(dendrogram(spectrum))
        return tuple(trees)

    def gaps(self, k: int) -> dict[int, list[Gap]]:
        """The k largest gaps at each step, largest first: `Dendrogram.gaps`.

        Raises:
            ConvergenceError: as `dendrograms`.
            ValueError: if ``k`` is negative.
        """
        return {
            step: tree.gaps(k)
            for step, tree in zip(self.steps.tolist(), self.dendrograms, strict=True)
        }

    def resolutions(self, count: int = 200, *, finest: float | None = None) -> FloatArray:
        """Resolutions ε, evenly in log ε up to the largest gap of all checkpoints.

        Args:
            count: how many, at least 2.
            finest: the first, in units of the eigenvalues; by default a billionth of the last.

        Returns:
            (count,) float64, ascending.

        Raises:
            ConvergenceError: as `dendrograms`.
            ValueError: if there is no gap, ``count`` is less than 2, or ``finest`` is not positive
                or not below the largest gap.
        """
        largest = max(float(tree.heights.max(initial=0)) for tree in self.dendrograms)
        if not largest > 0:
            raise ValueError("no two eigenvalues differ: there is no gap to resolve")
        first = largest * FINEST if finest is None else finest
        if count < 2:
            raise ValueError(f"count={count}: must be at least 2")
        if not 0 < first < largest:
            raise ValueError(f"finest={finest}: must be positive and below {largest:.6g}, the last")
        return np.geomspace(first, largest, count)

    def cluster_counts(self, resolutions: ArrayLike) -> IntArray:
        """n(ε), the number of clusters at each of R resolutions: (T, R) int64.

        Raises:
            ConvergenceError: as `dendrograms`.
            ValueError: if a resolution is negative or NaN.
        """
        return np.stack([tree.n_clusters(resolutions) for tree in self.dendrograms])

    def follow(
        self, *, eps: float | None = None, gaps: int | None = None, threshold: float = 0.5
    ) -> Tracks:
        """Clusters of eigenvalues followed through training: births, deaths, merges and splits.

        By the overlap of their subspaces where vectors are kept, by rank where not; arguments and
        errors are those of `hdlib.clustering.follow`. A resolution over the largest eigenvalue is
        one of `relative`.
        """
        return follow(self.steps, self.spectra, eps=eps, gaps=gaps, threshold=threshold)

    def overlaps(self, k: int) -> FloatArray:
        """Overlap of the top-k eigenspaces of every two checkpoints.

        The mean squared cosine of the principal angles, ‖AᵀB‖²_F / k for orthonormal bases A and B:
        1 if the subspaces are equal, k/n on average if one of them is random.

        Returns:
            (T, T) float64, symmetric.

        Raises:
            ValueError: if ``k`` is not positive, or so many vectors are not kept at a checkpoint.
        """
        if k < 1:
            raise ValueError(f"k={k}: must be at least 1")
        bases = []
        for step, spectrum in self:
            with at_step(step):
                bases.append(spectrum.top(k))
        overlaps = np.empty((len(self), len(self)))
        for i, a in enumerate(bases):
            for j, b in enumerate(bases[: i + 1]):
                overlaps[i, j] = overlaps[j, i] = ((a.T @ b) ** 2).sum() / k
        return overlaps

    def __repr__(self) -> str:
        first, last = self.steps[0], self.steps[-1]
        span = f"step {first:,}" if len(self) == 1 else f"steps {first:,} … {last:,}"
        count = f"{len(self):,} checkpoint{'s' if len(self) > 1 else ''}"
        known, sure = self._common(), self.certified_ends()
        lines = [
            f"Trajectory of {count}, {span}, {self.n:,} eigenvalues each",
            f"known at every checkpoint: {_ends(known.spectra[0])}",
            f"certified at every checkpoint: {_ends(sure.spectra[0])}",
        ]
        if _top_known(known.spectra[0]):
            largest = known.eigenvalues[:, -1]
            lines.append(f"largest λ: {largest.min():.6g} … {largest.max():.6g}")
        kept = [spectrum.vectors.shape[1] for spectrum in self.spectra]
        vectors = f"{min(kept):,}" + (f" to {max(kept):,}" if max(kept) > min(kept) else "")
        lines.append(f"vectors kept at each: {vectors if max(kept) else 'none'}")
        return "\n  ".join(lines)


def _relative(step: int, spectrum: Spectrum) -> Spectrum:
    """A spectrum over its largest eigenvalue."""
    if not _top_known(spectrum):
        raise ValueError(f"at step {step} the largest eigenvalue is not known")
    largest = float(spectrum.eigenvalues[-1])
    if not largest > 0:
        raise ValueError(f"at step {step} the largest eigenvalue is {largest:.6g}, not positive")
    return replace(
        spectrum,
        eigenvalues=spectrum.eigenvalues / largest,
        residuals=spectrum.residuals / largest,
        scale=spectrum.scale / largest,
    )


def _top_known(spectrum: Spectrum) -> bool:
    return bool(spectrum.highest or not spectrum.unresolved)


def _ends(spectrum: Spectrum) -> str:
    """How much of a spectrum is known, in words."""
    if not spectrum.unresolved:
        return "all"
    return f"{spectrum.lowest:,} lowest and {spectrum.highest:,} highest"
