"""Networks whose events are planted: arrays as they would be stored, at steps that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.onset.config import OnsetConfig, OnsetGrid
from hdlib.experiments.onset.network import FollowedNetwork
from hdlib.experiments.onset.recipe import COEFFICIENTS
from hdlib.experiments.onset.results import OnsetResults
from hdlib.training import MIRRORED, OTHERS

FREQUENCIES = np.array([2, 5, 11])
NEVER = np.inf
CONFIG = OnsetConfig(p=59, train_fraction=0.6)
Steps = tuple[float, float, float]


@dataclass(frozen=True)
class Story:
    """The step from which on something holds, for each of three key frequencies, or for all."""

    seen: Steps = (300, 1_500, 1_800)
    """A doublet is among the leading eigenvectors."""
    detached: Steps = (2_000, 2_200, 2_400)
    """It is in the span above the gap."""
    prominent: float = 100
    """Each has a quarter of its final share of the logits, more than other frequencies."""
    risen: Steps = (600, 900, 1_200)
    """It has its final share."""
    fallen: float = 400
    """The restricted loss is low."""
    known: float = 1_000
    """80% of the other pairs are right, and all 500 steps later."""
    gap: float = 1_800
    """There is a gap."""
    rank: int = 7
    """Eigenvalues above it."""
    relabelled: float = 0.3
    """Second largest dimension of relabelled residues in the span of all; at each step."""
    foretold: bool = False
    """Whether the untrained network's eigenvectors have most of the strongest frequency."""
    rotated: bool = False
    """Whether random bases of the span have what the eigenvectors have."""
    flatter: float = 1_200
    """The learning coefficient is small."""
    level: float = 1
    """What it is then."""
    steep: bool = False
    """Whether that of key frequencies is as large as that of others."""

    def later(self, by: float) -> Story:
        """The same with everything but gap and doublets above it so many steps later."""
        return replace(
            self,
            seen=tuple(step + by for step in self.seen),
            risen=tuple(step + by for step in self.risen),
            known=self.known + by,
            flatter=self.flatter + by,
        )

    def spectrum(self, step: int, *, m: int, frequencies: int) -> dict[str, NDArray]:
        """What `measuring.spectrum` returns."""
        dimensions = np.full((m, 3, 2), 0.1)
        dimensions[-1, step >= np.array(self.seen)] = 0.9
        usual = dimensions.copy()
        dimensions[self.rank - 1 :, step >= np.array(self.detached)] = 0.9
        null = np.linspace(0, self.relabelled, m)[:, None, None]
        values = np.arange(1.0, m + 1) ** -1.0
        values[: self.rank] *= 5 if step >= self.gap else 1
        return {
            "eigenvalues": values,
            "dimensions": dimensions,
            "rotated": np.stack([dimensions if self.rotated else usual] * 5),
            "relabelled": np.broadcast_to(null, dimensions.shape),
            "shares": self._shares(step, m, frequencies),
        }

    def _shares(self, step: int, m: int, frequencies: int) -> NDArray:
        """Of the frequencies in order, the strongest at the end having half or the middle place."""
        shares = np.linspace(0, 1 / frequencies, frequencies)
        strongest, middle = FREQUENCIES[0] - 1, frequencies // 2
        shares[[strongest, middle]] = shares[[middle, strongest]]
        if step or self.foretold:
            shares[strongest] = 0.5
        return np.tile(shares, (m, 1))

    def circuit(self, step: int, *, frequencies: int) -> dict[str, NDArray]:
        """What `measuring.circuit` returns."""
        power = np.linspace(0.001, 0.01, frequencies)
        if step >= self.prominent:
            power[FREQUENCIES - 1] = np.where(step >= np.array(self.risen), 0.2, 0.05)
            power[FREQUENCIES[0] - 1] *= 1.5
        else:
            power[FREQUENCIES - 1] = 0.005
        return {
            "frequencies": FREQUENCIES,
            "logit_power": power,
            "restricted_loss": np.array(0.1 if step >= self.fallen else 4.0),
        }


class PlantedFollowed(FollowedNetwork):
    """A network with three key frequencies and a story."""

    def __init__(self, config: OnsetConfig, story: Story) -> None:
        steps, size = config.checkpoints, config.p // 2
        self.config, self.steps, self.frequencies = config, np.array(steps), FREQUENCIES
        self._spectra = [
            story.spectrum(step, m=config.eigenpairs, frequencies=size) for step in steps
        ]
        self._circuit = [story.circuit(step, frequencies=size) for step in steps]
        run: Any = SimpleNamespace(config=config)
        steps = np.array(COEFFICIENTS.items(run), dtype=np.int64)
        self.coefficient_steps = np.sort(steps)
        self._chains = [
            [value, 1.1 * value]
            for value in np.where(self.coefficient_steps >= story.flatter, story.level, 19)
        ]
        others = np.array([[2.0, 2.2], [1.0, 1.2], [1.5, 1.7]])
        halfway = {"frequencies": others * (1 if story.steep else 0.5), "others": others}
        self._halfway = halfway
        right = np.where(self.steps >= story.known, 0.8, 0.1)
        right[self.steps >= story.known + 500] = 1.0
        self.__dict__["_history"] = {
            "step": self.steps,
            "train_loss": np.exp(-self.steps / 300.0),
            OTHERS: right,
            MIRRORED: np.ones(len(right)),
        }


def planted(**story: Any) -> PlantedFollowed:
    """A network, with what is told of its story."""
    return PlantedFollowed(CONFIG, Story(**story))


EVEN: Mapping[str, Any] = {"rank": 5}
"""What every second network has for itself, unless it is told: a gap that was not predicted."""


LARGER: Mapping[str, Any] = {"gap": 700}
"""What networks with the larger modulus have for themselves, unless it is told: an earlier gap."""


class PlantedOnset(OnsetResults):
    """The networks of the published grid, with planted stories, a hundred steps apart.

    Args:
        story: what is told of networks with enough pairs.
        few: what is told of those with too few, beside that nothing happens.
    """

    def __init__(
        self, story: Mapping[str, Any] | None = None, few: Mapping[str, Any] | None = None
    ) -> None:
        self.grid = OnsetGrid()
        self.p = self.grid.moduli[0]
        first, *larger = self.grid.moduli
        told = {
            p: [Story(**{**EVEN, **own, **(story or {})}), Story(**{**own, **(story or {})})]
            for p, own in {first: {}, **dict.fromkeys(larger, LARGER)}.items()
        }
        never = (NEVER, NEVER, NEVER)
        nothing = {"known": NEVER, "gap": NEVER, "seen": never, "detached": never}
        nothing |= {"flatter": 900, "level": 5}
        self._networks = {
            config: PlantedFollowed(config, told[p][i % 2].later(100 * (i % 4)))
            for p, group in self.grid.followed.items()
            for i, config in enumerate(group)
        } | {
            config: PlantedFollowed(config, Story(**{**nothing, **(few or {})}))
            for group in self.grid.controls.values()
            for config in group
        }
