"""Networks whose events are planted: arrays as they would be stored, at steps that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.experiments.onset.network import FollowedNetwork
from hdlib.experiments.onset.results import OnsetResults
from hdlib.training import MIRRORED, OTHERS

FREQUENCIES = np.array([2, 5, 11])
NEVER = np.inf
CONFIG = OnsetConfig(p=59, train_fraction=0.6)


class PlantedFollowed(FollowedNetwork):
    """A network of three key frequencies.

    Args:
        config: task and checkpoints.
        seen: step from which on each has a doublet among the leading eigenvectors.
        detached: step from which on that lies in the span above the gap.
        risen: step from which on each has its final share of the logits.
        known: step from which on 80% of the other pairs are right, and 500 steps later all.
        fallen: step from which on the restricted loss is low.
        gap: step from which on there is a gap.
        rank: eigenvalues above it.
        relabelled: second dimension of relabelled residues in the span of all.
        rotated: whether random bases of the span have doublets above the gap as well.
    """

    def __init__(
        self,
        config: OnsetConfig,
        *,
        seen: Sequence[float] = (300, 500, 700),
        detached: Sequence[float] = (2_000, 2_200, 2_400),
        risen: Sequence[float] = (600, 900, 1_200),
        known: float = 1_000,
        fallen: float = 400,
        gap: float = 1_800,
        rank: int = 7,
        relabelled: float = 0.3,
        rotated: bool = False,
    ) -> None:
        self.config, self.frequencies = config, FREQUENCIES
        self.steps = np.array(config.checkpoints)
        self._spectra = [
            _spectrum(config, step, seen, detached, gap, rank, relabelled, rotated)
            for step in self.steps
        ]
        self._circuit = [_circuit(config, step, risen, fallen) for step in self.steps]
        right = np.where(self.steps >= known, 0.8, 0.1)
        right[self.steps >= known + 500] = 1.0
        self.__dict__["_history"] = {
            "step": self.steps,
            "train_loss": np.exp(-self.steps / 300.0),
            OTHERS: right,
            MIRRORED: np.ones(len(right)),
        }


def _spectrum(
    config: OnsetConfig,
    step: int,
    seen: Sequence[float],
    detached: Sequence[float],
    gap: float,
    rank: int,
    relabelled: float,
    rotated: bool,
) -> dict[str, np.ndarray]:
    m, count = config.eigenpairs, len(FREQUENCIES)
    dimensions = np.full((m, count, 2), 0.1)
    usual = dimensions.copy()
    for k in range(count):
        if step >= seen[k]:
            dimensions[-1, k], usual[-1, k] = 0.9, 0.9
        if step >= detached[k]:
            dimensions[rank - 1 :, k] = 0.9
    values = np.arange(1.0, m + 1) ** -1.0
    if step >= gap:
        values[:rank] *= 5
    shares = np.full((m, config.p // 2), 2 / config.p)
    return {
        "eigenvalues": values,
        "dimensions": dimensions,
        "rotated": np.stack([dimensions if rotated else usual] * 5),
        "relabelled": np.linspace(0, relabelled, m)[:, None, None].repeat(count, 1).repeat(2, 2),
        "shares": shares,
    }


def _circuit(
    config: OnsetConfig, step: int, risen: Sequence[float], fallen: float
) -> dict[str, np.ndarray]:
    power = np.full(config.p // 2, 0.01)
    power[FREQUENCIES - 1] = np.where(step >= np.array(risen), 0.2, 0.05)
    if step == 0:
        power[FREQUENCIES - 1] = 0.005
    return {
        "frequencies": FREQUENCIES,
        "logit_power": power,
        "restricted_loss": np.array(0.1 if step >= fallen else 4.0),
    }


class PlantedOnset(OnsetResults):
    """Results of networks that are given."""

    def __init__(
        self, followed: Sequence[FollowedNetwork], controls: Sequence[FollowedNetwork]
    ) -> None:
        self.grid = OnsetGrid()
        self.__dict__ |= {"followed": list(followed), "controls": list(controls)}


def planted_results(*, controls: dict[str, object] | None = None, **events: object) -> PlantedOnset:
    """The networks of the published grid: like one another, some hundred steps apart.

    Args:
        controls: what is changed of those with too few pairs.
        events: what is changed of the others.
    """
    grid = OnsetGrid()
    nothing = {"known": NEVER, "gap": NEVER, "seen": [NEVER] * 3, "detached": [NEVER] * 3}
    return PlantedOnset(
        [_later(c, 100 * (i % 4), **events) for i, c in enumerate(grid.followed[59])],
        [PlantedFollowed(c, **nothing | (controls or {})) for c in grid.controls[59]],  # pyright: ignore
    )


def _later(config: OnsetConfig, by: int, **events: object) -> PlantedFollowed:
    """A network whose planted events, as far as they are not given, are so many steps later."""
    usual = {
        "seen": [300 + by, 500 + by, 700 + by],
        "risen": [600 + by, 900 + by, 1_200 + by],
        "known": 1_000 + by,
    }
    return PlantedFollowed(config, **usual | events)  # pyright: ignore
