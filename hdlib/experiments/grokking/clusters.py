"""Purity of eigenvectors and of clusters, and clusters followed through training."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Tracks, follow
from hdlib.curvature import Spectrum
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import DOSED, LOWEST, OVERLAPS, PURITY, SPECTRA
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.store import Run

Array = NDArray[np.float64]

PURE = 0.5
"""An eigenvector is of one frequency where that has more than so much of its response."""
RESOLUTION = 0.1
"""Clusters are parted where an eigenvalue is more than so much (of log λ) below the one before."""
DOUBLETS = 25
"""Leading eigenvalues among which doublets are looked for."""
NEAR = 0.05
"""Eigenvalues are copies of a closed form if they are it to within so much."""


class LeadingTest(NamedTuple):
    """Mean purity of the 12 leading eigenvectors, and of as many directions of each null.

    Attributes:
        purity: mean over the eigenvectors.
        rotated: (19,), of random bases of the span of the leading 60.
        relabelled: (2,), of the eigenvectors, with the residues in random orders.
    """

    purity: float
    rotated: Array
    relabelled: Array

    @property
    def beyond(self) -> bool:
        """Whether it is more than that of every random basis, which has a chance of one in 20."""
        return self.purity > self.rotated.max()


class TightCluster(NamedTuple):
    """A cluster of neighbouring eigenvalues, as it is at some resolution.

    Attributes:
        first: rank of its largest eigenvalue, from 1.
        size: number of eigenvalues, 2 to 12.
        purity: purity of its span.
        frequency: frequency that has most of it.
        usual: purity that 95% of random subspaces of the span of the leading 60 stay below.
    """

    first: int
    size: int
    purity: float
    frequency: int
    usual: float


class Doublets(NamedTuple):
    """Clusters of two among the leading eigenvalues, at any resolution.

    Attributes:
        pairs: number of them.
        same: how many of these have eigenvectors of one frequency each, and of the same.
        by_chance: mean number of these if the frequencies were permuted among the eigenvectors.
    """

    pairs: int
    same: int
    by_chance: float


class Lowest(NamedTuple):
    """The lowest eigenvalues of a checkpoint over the closed form −σ₁: 1 where they are that.

    Attributes:
        step: checkpoint.
        sigma: σ₁.
        ratios: (k,), found eigenvalues over −σ₁, the lowest first.
        certified: number of the lowest that are certified.
        minus: (d,), Ritz values over σ₁ in the span of the d directions of −σ₁, ascending.
        plus: (d,), the same of +σ₁.
        minus_residuals: (d,), their residuals over σ₁.
        plus_residuals: (d,), the same of +σ₁.
    """

    step: int
    sigma: float
    ratios: Array
    certified: int
    minus: Array
    plus: Array
    minus_residuals: Array
    plus_residuals: Array

    @property
    def below(self) -> int:
        """How many eigenvalues lie more than 5% below −σ₁: they are of something else."""
        return int((self.ratios > 1 + NEAR).sum())

    @property
    def copies(self) -> int:
        """How many of the found eigenvalues are −σ₁ to within 5%."""
        return int((np.abs(self.ratios - 1) <= NEAR).sum())

    @property
    def lowest_apart(self) -> float:
        """Relative distance of the lowest eigenvalue from −σ₁."""
        return float(abs(self.ratios[0] - 1))


class PurityResults:
    """What is stored of purities at the checkpoints of a run.

    Attributes:
        run: complete run.
        steps: checkpoints with purities, ascending.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.steps = PURITY.steps(run)

    def arrays(self, step: int) -> dict[str, NDArray]:
        """What is stored at a checkpoint."""
        return self.run.arrays(PURITY, step)

    def leading(self, step: int) -> LeadingTest:
        """The leading eigenvectors against both nulls."""
        found = self.arrays(step)
        own, rotated, relabelled = (
            found[name][..., 0, :LEADING].mean(-1) for name in ("purity", "rotated", "relabelled")
        )
        return LeadingTest(float(own), rotated, relabelled)

    def pure(self, step: int) -> NDArray[np.int64]:
        """Frequency of each of 60 eigenvectors; 0 for those that are not of one."""
        found = self.arrays(step)
        return np.where(found["purity"][0] > PURE, found["frequency"][0], 0).astype(np.int64)

    def clusters(self, step: int) -> list[TightCluster]:
        """All clusters of 2 to 12 of the leading 60 eigenvalues, at any resolution of log λ.

        A run of neighbours is one where every gap within is smaller than the two at its ends: the
        inner nodes of the dendrogram.
        """
        found = self.arrays(step)
        gaps = -np.diff(np.log(found["eigenvalues"]))
        usual = np.nanquantile(found["rotated"], 0.95, axis=(0, 2))
        clusters = []
        for size in range(2, len(usual) + 1):
            for first in range(len(gaps) - size + 1):
                within = gaps[first : first + size - 1].max()
                before = gaps[first - 1] if first else np.inf
                if within < min(before, gaps[first + size - 1]):
                    purity, frequency = (
                        found[name][size - 1, first] for name in ("purity", "frequency")
                    )
                    clusters.append(
                        TightCluster(
                            first + 1, size, float(purity), int(frequency), float(usual[size - 1])
                        )
                    )
        return clusters

    def doublets(self, step: int) -> Doublets:
        """Clusters of two of the `DOUBLETS` leading eigenvalues: how often of one frequency?

        Permuted, a pair has the same frequency with the probability Σ nₖ(nₖ − 1) / m(m − 1), where
        nₖ of the m eigenvectors are of frequency k.
        """
        pure = self.pure(step)[:DOUBLETS]
        firsts = [
            cluster.first - 1
            for cluster in self.clusters(step)
            if cluster.size == 2 and cluster.first < DOUBLETS
        ]
        same = sum(bool(pure[at] and pure[at] == pure[at + 1]) for at in firsts)
        counts = np.bincount(pure)[1:]
        chance = (counts * (counts - 1)).sum() / (len(pure) * (len(pure) - 1))
        return Doublets(len(firsts), same, float(len(firsts) * chance))

    def neighbours(self, step: int) -> tuple[int, int, int, int]:
        """Of eigenvectors of one frequency each: how often do two have the same?

        Returns:
            Neighbours of the same, all neighbours; any two of the same, all pairs.
        """
        pure = self.pure(step)
        next_to = pure[:-1][(pure[:-1] > 0) & (pure[1:] > 0)]
        same = (pure[:-1] == pure[1:]) & (pure[:-1] > 0)
        found = pure[pure > 0]
        i, j = np.triu_indices(len(found), 1)
        return int(same.sum()), len(next_to), int((found[i] == found[j]).sum()), len(i)

    def doses(self, step: int) -> dict[str, NDArray]:
        """Purities and departures of moves of several lengths, as `dose_measures` has them."""
        return self.run.arrays(DOSED, step)

    @cached_property
    def lowest(self) -> list[Lowest]:
        """The closed form of the lowest eigenvalue, at checkpoints after the first update."""
        found = []
        for step in LOWEST.steps(self.run):
            if step:
                spectrum, form = self.run.arrays(SPECTRA, step), self.run.arrays(LOWEST, step)
                bottom = spectrum["eigenvalues"][: len(spectrum["eigenvalues"]) // 2]
                sure = np.logical_and.accumulate(spectrum["converged"][: len(bottom)])
                sigma = float(form["sigma"][0])
                over = (
                    form[name] / sigma
                    for name in ("minus", "plus", "minus_residuals", "plus_residuals")
                )
                found.append(Lowest(step, sigma, bottom / -sigma, int(sure.sum()), *over))
        return found

    @cached_property
    def cosines(self) -> list[NDArray[np.float32]]:
        """Inner products of eigenvectors of successive checkpoints, largest eigenvalues last."""
        return [self.run.arrays(OVERLAPS, step)["cosines"][::-1, ::-1] for step in self.steps[1:]]

    @cached_property
    def eigenvalues(self) -> Array:
        """(T, 60) over the largest, descending."""
        found = np.stack([self.arrays(step)["eigenvalues"] for step in self.steps])
        return found / found[:, :1]

    @cached_property
    def tracks(self) -> Tracks:
        """Clusters of log λ through training, followed by the angles between their spans.

        Their ends are eigenvalues over the largest.
        """
        spectra = [_logarithms(self.run.config.n_parameters, found) for found in self.eigenvalues]
        found = follow(np.array(self.steps), spectra, eps=RESOLUTION, cosines=self.cosines)
        return replace(
            found,
            clusters=tuple(
                tuple(
                    cluster._replace(
                        lower=float(np.exp(cluster.lower)), upper=float(np.exp(cluster.upper))
                    )
                    for cluster in at
                )
                for at in found.clusters
            ),
        )


def _logarithms(n: int, eigenvalues: Array) -> Spectrum:
    """A spectrum of log λ, of which the largest are known and the others lie below."""
    values = np.log(eigenvalues[::-1])
    return Spectrum(
        n=n,
        eigenvalues=values,
        lowest=0,
        indices=np.arange(len(values)),
        residuals=np.zeros(len(values)),
        vectors=np.empty((n, 0)),
        scale=float(np.abs(values).max()),
        tol=0.0,
        products=0,
    )
