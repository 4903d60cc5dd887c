"""One network at its checkpoints: what its curvature, its function and its accuracy show, and when.

T checkpoints, S of them with learning coefficients, K key frequencies, m leading eigenpairs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.onset.config import OnsetConfig
from hdlib.experiments.onset.recipe import CIRCUIT, COEFFICIENTS, FREQUENCIES, SPECTRA, TRAINING
from hdlib.measures import GapTest, featureless_nulls, gap_test
from hdlib.store import Run
from hdlib.training import OTHERS

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

HALF = 0.5
"""Share of the response to a direction from which it counts as one of a frequency; the accuracy on
other pairs, the share of a frequency's power at the end, and the part of the first restricted loss
from which they have risen or fallen."""
GENERALISED = 0.95
"""Accuracy on the test pairs that memory cannot answer from which a network has generalised."""


class FollowedNetwork:
    """One network at its checkpoints.

    Attributes:
        run: its complete run.
        config: its config.
        steps: (T,) int64, checkpoints.
        frequencies: (K,) int64, key frequencies at the end.
        coefficient_steps: (S,) int64, checkpoints with local learning coefficients, ascending.
    """

    def __init__(self, run: Run[OnsetConfig]) -> None:
        self.run, self.config = run, run.config
        self.steps = np.array(run.config.checkpoints)
        self._spectra = [run.arrays(SPECTRA, step) for step in run.config.checkpoints]
        self._circuit = [run.arrays(CIRCUIT, step) for step in run.config.checkpoints]
        self.frequencies: NDArray[np.int64] = self._circuit[-1]["frequencies"]
        self.coefficient_steps = np.array(COEFFICIENTS.steps(run), dtype=np.int64)
        self._chains = [run.arrays(COEFFICIENTS, step)["whole"] for step in COEFFICIENTS.steps(run)]
        (half,) = FREQUENCIES.steps(run)
        self._halfway = run.arrays(FREQUENCIES, half)

    @cached_property
    def _history(self) -> dict[str, NDArray]:
        return TRAINING.history(self.run)

    def column(self, name: str) -> Array:
        """A column of the history at the checkpoints, (T,)."""
        return self._history[name][np.isin(self._history["step"], self.steps)]

    @property
    def generalised(self) -> bool:
        """Whether it knows the test pairs that memory cannot answer at the end."""
        return bool(self.column(OTHERS)[-1] >= GENERALISED)

    @cached_property
    def eigenvalues(self) -> Array:
        """Leading ones, descending, (T, m)."""
        return np.stack([arrays["eigenvalues"] for arrays in self._spectra])

    @cached_property
    def shares(self) -> Array:
        """Share of each frequency in the response to each eigenvector, (T, m, (p − 1)/2)."""
        return np.stack([arrays["shares"] for arrays in self._spectra]).astype(np.float64)

    @cached_property
    def gaps(self) -> list[GapTest]:
        """At each checkpoint the gap with the highest score below the rank of the heads."""
        heads = self.config.n_heads
        ranks = range(heads + 1, self.config.eigenpairs)
        return [gap_test(values, featureless_nulls(), ranks=ranks) for values in self.eigenvalues]

    @cached_property
    def stands_out(self) -> Mask:
        """Whether that gap stands out from featureless spectra, (T,)."""
        return np.array([gap.stands_out for gap in self.gaps])

    @cached_property
    def detached_ranks(self) -> NDArray[np.int64]:
        """Eigenvalues above the gap, where it stands out; else 0, (T,)."""
        return np.array([gap.rank for gap in self.gaps]) * self.stands_out

    @property
    def predicted_rank(self) -> int:
        """One eigenvalue for each head and two for each key frequency."""
        return self.config.n_heads + 2 * len(self.frequencies)

    def predicted_gap(self) -> GapTest | None:
        """The gap at the last checkpoint below the predicted rank, tested alone.

        None where so many eigenvalues were not asked for.
        """
        rank = self.predicted_rank
        if rank >= self.config.eigenpairs:
            return None
        return gap_test(self.eigenvalues[-1], featureless_nulls(), ranks=[rank])

    def seen(self, name: str = "dimensions") -> Mask:
        """Whether two directions of each frequency are among all leading eigenvectors, (T, K).

        Args:
            name: as for `detached`.
        """
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

    def second(self, name: str = "dimensions") -> Array:
        """Second largest dimension of each frequency in the span of all, (T, K)."""
        return self._second(name)[..., -1, :]

    def _second(self, name: str) -> Array:
        """The same in the span of the first r, (T, …, m, K)."""
        return np.stack([arrays[name][..., 1] for arrays in self._spectra]).astype(np.float64)

    def _pairs(self, name: str) -> Mask:
        """Whether the span of the first r has two directions of each frequency, (T, …, m, K).

        They count from half of the response on. A large span can have that of relabelled residues
        as well, early on; so they count only beyond what the first r have of these at any
        checkpoint, which pays for looking at all of them.
        """
        second = self._second(name)
        if name == "relabelled":
            return second > HALF
        return second > np.maximum(self._second("relabelled").max((0, 2)), HALF)[:, None]

    @property
    def least(self) -> float:
        """What the second largest dimension in the span of all must be above to be seen."""
        return max(float(self.second("relabelled").max()), HALF)

    @cached_property
    def risen(self) -> Mask:
        """Whether each frequency has half of its final share of the logits, (T, K)."""
        power = self.power
        return power >= HALF * power[-1]

    @cached_property
    def logit_power(self) -> Array:
        """Share of the logits' variance in each frequency, (T, (p − 1)/2)."""
        return np.stack([arrays["logit_power"] for arrays in self._circuit]).astype(np.float64)

    @property
    def power(self) -> Array:
        """The same of the key frequencies, (T, K)."""
        return self.logit_power[:, self.frequencies - 1]

    @property
    def prominent(self) -> Mask:
        """Whether each key frequency has more of the logits than any other ever has, (T, K)."""
        others = np.delete(self.logit_power, self.frequencies - 1, axis=1)
        return self.power > others.max(initial=0)

    @cached_property
    def restricted(self) -> Array:
        """Loss of the key frequencies alone, over all pairs, (T,)."""
        return np.array([float(arrays["restricted_loss"]) for arrays in self._circuit])

    @property
    def coefficients(self) -> Array:
        """Local learning coefficient of all weights, mean over chains, (S,)."""
        return np.array([np.mean(chains) for chains in self._chains], np.float64)

    @property
    def flatter(self) -> float:
        """First checkpoint from which the coefficient is at most half of its largest to the end.

        Infinite where there is none.
        """
        half = HALF * self.coefficients.max()
        low = np.logical_and.accumulate((self.coefficients <= half)[::-1])[::-1]
        return float(self.coefficient_steps[low.argmax()]) if low.any() else np.inf

    def halfway(self, name: str) -> Array:
        """Learning coefficients where half of the other pairs are right, mean over chains.

        Args:
            name: "frequencies" for each key frequency, (K,), "others" for as many that are none.
        """
        return self._halfway[name].mean(1)

    @property
    def keys_flatter(self) -> float:
        """How many of all pairs of a key frequency and another have the key one lower; a share."""
        own, other = (self.halfway(name) for name in ("frequencies", "others"))
        return float((own[:, None] < other).mean())

    def standing(self, shares: Array) -> Array:
        """How many of the other frequencies have less than that with most of the logits at the end.

        Args:
            shares: (T, (p − 1)/2), of each frequency in something.

        Returns:
            (T,), as a part of all others; 0.5 is expected where nothing is known of the end.
        """
        strongest = self.logit_power[-1].argmax()
        below = (shares < shares[:, strongest, None]).sum(1)
        return below / (shares.shape[1] - 1)

    def onset(self, mask: Mask) -> Array:
        """First of two checkpoints in a row at which something holds, (…); infinite if never.

        Args:
            mask: (T, …).
        """
        twice = mask[:-1] & mask[1:]
        steps = self.steps[:-1][twice.argmax(0)].astype(np.float64)
        return np.where(twice.any(0), steps, np.inf)

    def lasting_onset(self, mask: Mask) -> Array:
        """First checkpoint from which on something holds to the end, (…); infinite if never.

        Args:
            mask: (T, …).
        """
        still = np.logical_and.accumulate(mask[::-1])[::-1]
        steps = self.steps[still.argmax(0)].astype(np.float64)
        return np.where(still.any(0), steps, np.inf)
