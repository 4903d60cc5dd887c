"""What came out: when curvature, function and accuracy show each frequency of a circuit.

T checkpoints, K key frequencies, m leading eigenpairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grid import run_grid
from hdlib.experiments.grokking.gaps import nulls
from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.experiments.onset.recipe import CIRCUIT, EXPERIMENT, SPECTRA, TRAINING
from hdlib.measures import GapTest, gap_test
from hdlib.store import Run
from hdlib.training import OTHERS

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

HALF = 0.5
"""Share of the response to a direction from which it counts as one of a frequency; the accuracy on
other pairs, and the share of a frequency's power at the end, from which they have risen."""
GENERALISED = 0.95
"""Accuracy on the test pairs that memory cannot answer from which a network has generalised."""


class FollowedNetwork:
    """One network at its checkpoints.

    Attributes:
        run: its complete run.
        config: its config.
        steps: (T,) int64, checkpoints.
        frequencies: (K,) int64, key frequencies at the end.
    """

    def __init__(self, run: Run[OnsetConfig]) -> None:
        self.run, self.config = run, run.config
        self.steps = np.array(run.config.checkpoints)
        self._spectra = [run.arrays(SPECTRA, step) for step in run.config.checkpoints]
        self._circuit = [run.arrays(CIRCUIT, step) for step in run.config.checkpoints]
        self.frequencies: NDArray[np.int64] = self._circuit[-1]["frequencies"]

    def column(self, name: str) -> Array:
        """A column of the history at the checkpoints, (T,)."""
        history = TRAINING.history(self.run)
        return history[name][np.isin(history["step"], self.steps)]

    @property
    def generalised(self) -> bool:
        """Whether it knows the test pairs that memory cannot answer at the end."""
        return bool(self.column(OTHERS)[-1] >= GENERALISED)

    @cached_property
    def eigenvalues(self) -> Array:
        """Leading ones, descending, (T, m)."""
        return np.stack([arrays["eigenvalues"] for arrays in self._spectra])

    @cached_property
    def gaps(self) -> list[GapTest]:
        """At each checkpoint the gap with the highest score below the rank of the heads."""
        heads = self.config.n_heads
        ranks = range(heads + 1, self.config.eigenpairs)
        return [gap_test(values, nulls(), ranks=ranks) for values in self.eigenvalues]

    @cached_property
    def detached_ranks(self) -> NDArray[np.int64]:
        """Eigenvalues above the gap, where it stands out from featureless spectra; else 0, (T,)."""
        return np.array([gap.rank if gap.stands_out else 0 for gap in self.gaps])

    def seen(self, name: str = "dimensions") -> Mask:
        """Whether two directions of each frequency are among all leading eigenvectors, (T, K)."""
        return self._pairs(name)[..., -1, :]

    def detached(self, name: str = "dimensions") -> Mask:
        """Whether two directions of each frequency are in the span above the gap, (T, K).

        Args:
            name: "dimensions" for the eigenvectors, "rotated" for random bases of their span,
                (T, 5, K), "relabelled" for the residues in a random order.
        """
        pairs, ranks = self._pairs(name), self.detached_ranks
        found = np.stack([pairs[t][..., max(r - 1, 0), :] for t, r in enumerate(ranks)])
        return found & (ranks > 0).reshape(-1, *[1] * (found.ndim - 1))

    def _pairs(self, name: str) -> Mask:
        """Whether the span of the first r has two directions of each frequency, (T, …, m, K)."""
        return np.stack([arrays[name][..., 1] for arrays in self._spectra]) > HALF

    @cached_property
    def risen(self) -> Mask:
        """Whether each frequency has half of its final share of the logits, (T, K)."""
        power = self.power
        return power >= HALF * power[-1]

    @property
    def power(self) -> Array:
        """Share of the logits' variance in each key frequency, (T, K)."""
        found = np.stack([arrays["logit_power"] for arrays in self._circuit]).astype(np.float64)
        return found[:, self.frequencies - 1]

    def onset(self, mask: Mask) -> Array:
        """First of two checkpoints in a row at which something holds, (…); infinite if never.

        Args:
            mask: (T, …).
        """
        twice = mask[:-1] & mask[1:]
        steps = self.steps[:-1][twice.argmax(0)].astype(np.float64)
        return np.where(twice.any(0), steps, np.inf)


class OnsetResults:
    """Everything the chapter shows, of all runs of its grid.

    Attributes:
        grid: parameters of the chapter.
    """

    def __init__(self, grid: OnsetGrid) -> None:
        self.grid = grid
        runs = run_grid(EXPERIMENT, grid.configs)
        self._networks = {run.config: FollowedNetwork(run) for run in runs}

    @cached_property
    def followed(self) -> dict[int, list[FollowedNetwork]]:
        """Networks with enough pairs, by modulus."""
        return {p: self._of(configs) for p, configs in self.grid.followed.items()}

    @cached_property
    def controls(self) -> dict[int, list[FollowedNetwork]]:
        """Networks with too few pairs, by modulus."""
        return {p: self._of(configs) for p, configs in self.grid.controls.items()}

    def _of(self, configs: Sequence[OnsetConfig]) -> list[FollowedNetwork]:
        return [self._networks[config] for config in configs]


@cache
def published() -> OnsetResults:
    """The results of the chapter's grid as it is published."""
    return OnsetResults(OnsetGrid())
