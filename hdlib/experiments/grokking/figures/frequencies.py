"""Which frequencies the leading eigenvectors are of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures import heat_map
from hdlib.figures.validation import require_entries


def leading_frequencies(energies: Mapping[str, ArrayLike], *, column_label: str) -> Figure:
    """The strongest frequency of what each leading eigenvector does, a column for each network.

    A cell names the frequency with the largest share of the energy of J v, and the share.

    Args:
        energies: label → (m, F) shares of the frequencies 1 … F along the m leading eigenvectors,
            the largest eigenvalue's first; of one shape.
        column_label: what the columns are.

    Raises:
        ValueError: if there is no column, or shapes differ.
    """
    require_entries("energies", energies)
    shares = np.stack([np.asarray(values) for values in energies.values()], axis=1)
    largest, strongest = shares.max(2), shares.argmax(2) + 1
    return heat_map(
        largest,
        [str(rank + 1) for rank in range(len(largest))],
        list(energies),
        label="share of the strongest frequency",
        norm=Normalize(0, 1),
        cmap="Blues",
        cells=[
            [f"{k}\n{share:.0%}" for k, share in zip(*row, strict=True)]
            for row in zip(strongest, largest, strict=True)
        ],
        row_label="rank of the eigenvalue",
        column_label=column_label,
    )
