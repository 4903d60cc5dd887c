"""What the grokking chapter shows of the leading eigenvectors in function space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.grokking import functions_name, spectrum_name
from hdlib.experiments.grokking_config import GrokkingConfig
from hdlib.experiments.grokking_functions import DOSES, LEADING
from hdlib.experiments.grokking_sweep import GrokkingSweep, head_name
from hdlib.measures.functions import concentration
from hdlib.runs import Run

Array = NDArray[np.float64]

SHOWN = 6
"""Checkpoints in the table of random directions, the last."""
SINGLE = 0.5
"""An eigenvector moves one frequency where that has more than so much of the energy of J v."""


class FunctionResults:
    """What the leading eigenvectors of a run do to its function, wherever its weights are kept.

    Attributes:
        steps: the checkpoints.
        doses: of the moves.
    """

    doses = DOSES

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.steps = run.steps("functions")
        if not self.steps:
            raise ValueError(f"{run.path} has no functions: spectra=0; at least 1 is needed")
        self._found = [run.arrays(functions_name(step)) for step in self.steps]

    @property
    def energies(self) -> dict[str, Array]:
        """Share of each frequency in J v along each eigenvector, (12, F), at each checkpoint."""
        return {
            f"{step:,}": found["energy"]
            for step, found in zip(self.steps, self._found, strict=True)
        }

    def moves(self, step: int) -> tuple[Array, Array]:
        """Changes of the losses at each dose, along eigenvectors and random directions."""
        found = self._found[self.steps.index(step)]
        return found["responses"], found["random_responses"]

    def null_table(self) -> Markdown:
        """Largest share of a frequency along eigenvectors and along random directions.

        At the last six checkpoints.
        """
        kinds = {
            "the 12 leading eigenvectors": "energy",
            "a random basis of the same space": "rotated_energy",
            "random directions": "random_energy",
        }
        rows = []
        for label, key in kinds.items():
            largest = [found[key].max(1) for found in self._found[-SHOWN:]]
            rows.append((label, *(f"{np.median(at):.0%} ({at.max():.0%})" for at in largest)))
        return table(("median (most)", *(f"{step:,}" for step in self.steps[-SHOWN:])), rows)


class HeadFunctions:
    """The same at the end of training, of the networks with one to eight heads.

    Attributes:
        doses: of the moves.
    """

    doses = DOSES

    def __init__(self, sweep: GrokkingSweep) -> None:
        self._runs = {head_name(found): found for found in sweep.heads}
        self._found = {
            name: found.arrays(functions_name(found.config.n_steps))
            for name, found in self._runs.items()
        }

    @property
    def energies(self) -> dict[str, Array]:
        """Share of each frequency in J v along each eigenvector, (12, F), of each network."""
        return {name: found["energy"] for name, found in self._found.items()}

    def moves(self, name: str) -> tuple[Array, Array]:
        """Changes of the losses at each dose, along eigenvectors and random directions."""
        return self._found[name]["responses"], self._found[name]["random_responses"]

    def dose_table(self) -> Markdown:
        """Share of one key frequency in the changes of the losses, by dose."""
        rows = []
        for name, found in self._found.items():
            along, random = (
                [np.median(concentration(at_dose)) for at_dose in found[key]]
                for key in ("responses", "random_responses")
            )
            cells = (f"{ours:.2f} ({null:.2f})" for ours, null in zip(along, random, strict=True))
            rows.append((name, *cells))
        doses = (f"{100 * dose:g}% of the norm" for dose in DOSES)
        return table(("median along eigenvectors (random)", *doses), rows)

    def spacings(self, name: str) -> tuple[Array, Array]:
        """Spacings k log(λₖ / λₖ₊₁) between neighbouring eigenvectors of a single frequency each.

        Returns:
            Those with the same frequency, and those with different ones, of the 12 leading.
        """
        found = self._runs[name]
        values = found.arrays(spectrum_name(found.config.n_steps))["eigenvalues"][::-1][:LEADING]
        spacings = np.arange(1.0, LEADING) * np.log(values[:-1] / values[1:])
        energy = self._found[name]["energy"]
        single, frequency = energy.max(1) > SINGLE, energy.argmax(1)
        both, same = single[:-1] & single[1:], frequency[:-1] == frequency[1:]
        return spacings[both & same], spacings[both & ~same]

    def pair_table(self) -> Markdown:
        """How close together the eigenvalues of one frequency are, and of different ones."""
        rows = []
        for name, found in self._found.items():
            cells = (
                f"{len(at)} ({np.median(at):.2f})" if len(at) else "0" for at in self.spacings(name)
            )
            single = [
                int((found[key].max(1) > SINGLE).sum()) for key in ("energy", "rotated_energy")
            ]
            rows.append((name, *single, *cells))
        header = (
            "network",
            f"one frequency, of {LEADING}",
            "of a random basis",
            "neighbours of the same (median spacing)",
            "of different ones (median spacing)",
        )
        return table(header, rows)
