"""Clusters of eigenvalues through training, as they were followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

BULK = 0
"""Track of the bulk."""


class Cluster(NamedTuple):
    """A cluster of eigenvalues at a checkpoint.

    Attributes:
        track: number by which it is followed through training; 0 is the bulk.
        first: rank of its largest eigenvalue, 1 for the largest of all.
        last: rank of its smallest eigenvalue.
        lower: smallest of its known eigenvalues.
        upper: largest of its known eigenvalues.
    """

    track: int
    first: int
    last: int
    lower: float
    upper: float

    @property
    def size(self) -> int:
        """How many eigenvalues it has, unresolved ones among them."""
        return self.last - self.first + 1


class Event(NamedTuple):
    """What became of clusters between two successive checkpoints.

    Attributes:
        step: the later checkpoint's.
        kind: "born" out of the bulk, "died" into it, "merged" or "split".
        before: tracks at the earlier checkpoint, none for a birth.
        after: tracks at the later checkpoint, none for a death.
    """

    step: int
    kind: Literal["born", "died", "merged", "split"]
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, repr=False, eq=False)
class Tracks:
    """Clusters of eigenvalues at T checkpoints, and which of them are the same (`follow`).

    Attributes:
        steps: (T,) int64, training steps, ascending.
        clusters: at each step its clusters, from the largest eigenvalues down.
        events: births, deaths, merges and splits, in the order of training.
        threshold: least share of the smaller of two clusters that links them.
    """

    steps: IntArray
    clusters: tuple[tuple[Cluster, ...], ...]
    events: tuple[Event, ...]
    threshold: float

    def __len__(self) -> int:
        """How many tracks there are, the bulk's among them."""
        return 1 + max(cluster.track for step in self.clusters for cluster in step)

    def track(self, track: int) -> dict[int, Cluster]:
        """The clusters of a track by step, ascending.

        Raises:
            KeyError: if there is no such track.
        """
        if not 0 <= track < len(self):
            raise KeyError(f"no track {track}: there are 0, the bulk, to {len(self) - 1}")
        return {
            step: cluster
            for step, clusters in zip(self.steps.tolist(), self.clusters, strict=True)
            for cluster in clusters
            if cluster.track == track
        }

    def __repr__(self) -> str:
        kinds = [event.kind for event in self.events]
        counts = ", ".join(f"{kinds.count(k)} {k}" for k in ("born", "died", "merged", "split"))
        return (
            f"Tracks of {len(self) - 1} clusters beside the bulk through {len(self.steps)} "
            f"checkpoints: {counts}"
        )
