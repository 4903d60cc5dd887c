"""What came out of a grid of networks: arrays for figures, tables and claims.

S seeds, T circuits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.experiments.planted.config import PlantedConfig, PlantedGrid
from hdlib.experiments.planted.recipe import BASIS, CIRCUITS, SPECTRA, STATISTICS, circuit_steps
from hdlib.experiments.planted.statistics import RANKS, ZERO, labelled, own_gap, searched_gap
from hdlib.experiments.planted.training import TRAINING, memorised_step, spectrum_steps
from hdlib.measures import GapTest, tail_scores
from hdlib.store import Run

Array = NDArray[np.float64]

When: TypeAlias = Literal["untrained", "memorised", "end"] | int
"""A checkpoint of a network: by name, or its step."""
FINDING, TESTING = (0, 1), (2, 3, 4)
"""Seeds in which a rank is looked for, and those in which it is tested."""


class PlantedResults:
    """Networks of a grid.

    Attributes:
        grid: parameters.
        runs: (alpha, seed) → complete run.
        alphas: ascending.
    """

    def __init__(self, grid: PlantedGrid, runs: Sequence[Run[PlantedConfig]]) -> None:
        self.grid = grid
        self.runs = {(run.config.alpha, run.config.seed): run for run in runs}
        self.alphas = sorted(grid.alphas)

    def step(self, alpha: float, seed: int, when: When) -> int:
        """Step of a checkpoint; that of a network that never memorised all is its last."""
        if isinstance(when, int):
            return when
        found = memorised_step(self.runs[alpha, seed]) if when == "memorised" else None
        return {"untrained": 0}.get(when, self.grid.n_steps if found is None else found)

    def spectrum(self, alpha: float, seed: int, when: When) -> dict[str, NDArray]:
        """All that is kept of a checkpoint's spectrum, as `measures.measured` has it."""
        return self.runs[alpha, seed].arrays(SPECTRA, self.step(alpha, seed, when))

    def statistic(self, name: str, alpha: float, when: When) -> Array:
        """One of `statistics.eigenvalue_statistics`, (S, …)."""
        return np.array(
            [
                self.runs[alpha, seed].arrays(STATISTICS, self.step(alpha, seed, when))[name]
                for seed in self.grid.seeds
            ]
        )

    def followed_steps(self, alpha: float) -> list[int]:
        """Checkpoints at which all of these networks have spectra and groups."""
        runs = [self.runs[alpha, seed] for seed in self.grid.seeds]
        common = set.intersection(*({*spectrum_steps(r)} & {*circuit_steps(r)} for r in runs))
        return sorted(common)

    def modules(self, which: str, alpha: float, when: When) -> Array:
        """Adjusted Rand index of Fiedler modules with what each parameter learnt, (S,).

        Args:
            which: "gauss_newton" or "hessian".
            alpha: one of the grid's.
            when: checkpoint.
        """
        found = []
        for seed in self.grid.seeds:
            arrays = self.spectrum(alpha, seed, when)
            modules, owner = arrays[f"{which}_modules"], arrays["owner"]
            known = (modules >= 0) & (owner >= 0)
            found.append(rand_index(owner[known], modules[known]))
        return np.array(found)

    def outputs(self, alpha: float, when: When) -> Array:
        """Adjusted Rand index of the groups of outputs with the circuits, (S,)."""
        return np.array(
            [
                rand_index(self.truth, self.groups(alpha, seed, when)["outputs"])
                for seed in self.grid.seeds
            ]
        )

    def groups(self, alpha: float, seed: int, when: When) -> dict[str, NDArray]:
        """Groups of outputs and eigenvectors, as `grouping.grouped` has them."""
        return self.runs[alpha, seed].arrays(CIRCUITS, self.step(alpha, seed, when))

    def group_values(self, name: str, alpha: float, when: When) -> Array:
        """Excess, its rotated quantile, or p of the groups, (S,)."""
        return np.array([self.groups(alpha, s, when)[name] for s in self.grid.seeds])

    @property
    def truth(self) -> NDArray[np.int64]:
        """(O,) circuit of each output."""
        parts = zip(self.grid.outputs, self.grid.head_circuits, strict=True)
        return np.concatenate([np.full(part.stop - part.start, c) for part, c in parts])

    def unit_purity(self, alpha: float, when: When) -> Array:
        """Mean over units of the largest share of a circuit in what goes into them, (S,)."""
        return np.array(
            [
                self.spectrum(alpha, seed, when)["unit_shares"].max(1).mean()
                for seed in self.grid.seeds
            ]
        )

    def logged(self, column: str, alpha: float, when: When) -> Array:
        """A column of the histories, the least over the circuits, (S,)."""
        found = []
        for seed in self.grid.seeds:
            history = TRAINING.history(self.runs[alpha, seed])
            at = np.searchsorted(history["step"], self.step(alpha, seed, when))
            circuits = range(len(self.grid.moduli))
            found.append(min(float(history[f"{column}_{c}"][at]) for c in circuits))
        return np.array(found)

    def zeros(self, alpha: float, when: When) -> tuple[NDArray[np.int64], int]:
        """How many eigenvalues are zero, (S,), and how many symmetries were counted in advance."""
        counts = []
        for seed in self.grid.seeds:
            values = np.abs(self.spectrum(alpha, seed, when)["eigenvalues"])
            counts.append(int((values < ZERO * values.max()).sum()))
        return np.array(counts), self.runs[alpha, self.grid.seeds[0]].config.symmetries

    def basis(self) -> Array:
        """Purity of Fiedler modules in the parameters' basis and in a random one, (S, 2)."""
        return np.array(
            [self.runs[0.0, s].arrays(BASIS, self.grid.n_steps)["purity"] for s in self.grid.seeds]
        )

    @property
    def larger_share(self) -> float:
        """Share of the larger circuit in all parameters of the two, where they are uncoupled."""
        circuits = self.runs[0.0, self.grid.seeds[0]].config.model().circuits().numpy()
        sizes = np.bincount(circuits[circuits >= 0])
        return float(sizes.max() / sizes.sum())

    def own_spectra(self, alpha: float, seed: int, when: When) -> list[Array]:
        """Eigenvalues of each circuit, of vectors that move its outputs most; then all of them."""
        values, function = labelled(self.spectrum(alpha, seed, when))
        whose = function.argmax(1)
        return [*(values[whose == c] for c in range(function.shape[1])), values]

    def searched_gaps(self, alpha: float, when: When) -> list[list[GapTest]]:
        """The widest gap of each circuit and, last, of all eigenvalues, for each seed."""
        return [
            [searched_gap(values) for values in self.own_spectra(alpha, seed, when)]
            for seed in self.grid.seeds
        ]

    def tested_gaps(self, alpha: float, when: When) -> list[tuple[int, list[GapTest]]]:
        """For each circuit and for all: the rank with the widest gap, and how it fares elsewhere.

        The rank is that with the largest mean score in the seeds 0 and 1; it alone is tested in
        each of the others.
        """
        finding = [self.own_spectra(alpha, seed, when) for seed in FINDING]
        testing = [self.own_spectra(alpha, seed, when) for seed in TESTING]
        return [
            _found_and_tested(f, t)
            for f, t in zip(zip(*finding, strict=True), zip(*testing, strict=True), strict=True)
        ]


def _found_and_tested(
    finding: Sequence[Array], testing: Sequence[Array]
) -> tuple[int, list[GapTest]]:
    ranks = np.array(RANKS)
    scores = np.mean([tail_scores(values)[ranks - 1] for values in finding], axis=0)
    rank = int(ranks[scores.argmax()])
    return rank, [own_gap(values, rank) for values in testing]


def rand_index(truth: ArrayLike, found: ArrayLike) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985): 1 where two partitions are one, 0 by chance."""
    from sklearn.metrics import adjusted_rand_score  # here, as scikit-learn takes a second

    return float(adjusted_rand_score(np.asarray(truth), np.asarray(found)))
