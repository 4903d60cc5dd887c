"""Which frequencies the leading eigenvectors are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures import heat_map
from hdlib.figures.style import number
from hdlib.figures.validation import require_entries

LEAST_RANGE = 10.0


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


def frequency_overlap(
    eigenvalues: ArrayLike,
    weights: Mapping[str, tuple[ArrayLike, ArrayLike]],
    columns: Sequence[str],
) -> Figure:
    """Heat maps of eigenvectors' weight in subspaces, over that of a random direction.

    Colours are logarithmic and centred on 1, which is chance: a random unit vector has on average
    the weight dim S / P in a subspace S. They cover the largest ratio and its inverse; a weight
    below that has the last colour.

    Args:
        eigenvalues: (m,) of the rows, drawn from top to bottom.
        weights: label of a panel → (weights (m, C), expected weights of a random direction (C,));
            the squared norm of each eigenvector's projection on each subspace.
        columns: C names of the subspaces, say frequencies.

    Raises:
        ValueError: if there is no panel, or arrays do not fit or are not finite.
    """
    ratios = {
        label: np.asarray(weight) / np.asarray(chance)
        for label, (weight, chance) in weights.items()
    }
    extreme = max(LEAST_RANGE, *(float(ratio.max()) for ratio in ratios.values()))
    return heat_map(
        ratios,
        [number(value) for value in np.asarray(eigenvalues)],
        columns,
        label="weight over that of a random direction",
        norm=LogNorm(1 / extreme, extreme),
        cmap="PuOr_r",
        row_label="eigenvalue λ of each eigenvector",
    )
