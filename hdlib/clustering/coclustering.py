"""Rows and columns of a table of energies, grouped together (Dhillon 2001)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FAINT = 1e-12
"""Coupling of what has none, over the mean, so that the graph is connected."""


class _Division(NamedTuple):
    """A part of the rows and columns, and the side of the best cut that each of them is on."""

    rows: IntArray
    columns: IntArray
    row_side: NDArray[np.bool_]
    column_side: NDArray[np.bool_]
    gain: float


def column_groups(table: FloatArray, most: int) -> IntArray:
    """Groups of the columns of a table that are in the same rows, from 2 groups up to ``most``.

    Rows and columns are the nodes of a bipartite graph with the entries as couplings. Its
    normalised Laplacian's Fiedler vector is the second pair of singular vectors of
    D₁^-½ M D₂^-½ (Dhillon 2001), and is cut where the normalised cut is least. Of the parts always
    that is cut next whose cut adds most to the modularity of the graph.

    Args:
        table: M, (m, F), not negative, not all zero.
        most: largest number of groups, K ≤ F.

    Returns:
        (K − 1, F) int64, for k = 2 … K the groups 0 … k − 1; fewer rows where nothing is left to
        cut.
    """
    table = table + FAINT * table.mean()
    rows, columns = (np.arange(size) for size in table.shape)
    parts, groups = [_best_cut(table, rows, columns)], []
    while len(parts) < most:
        best = max(range(len(parts)), key=lambda part: parts[part].gain)
        part = parts[best]
        if part.gain == -np.inf:
            break
        parts[best : best + 1] = [
            _best_cut(
                table, part.rows[part.row_side == side], part.columns[part.column_side == side]
            )
            for side in (False, True)
        ]
        labels = np.empty(table.shape[1], dtype=np.int64)
        for label, part in enumerate(parts):
            labels[part.columns] = label
        groups.append(labels)
    return np.array(groups, dtype=np.int64).reshape(-1, table.shape[1])


def _best_cut(whole: FloatArray, rows: IntArray, columns: IntArray) -> _Division:
    """The cut of least normalised cut along the Fiedler vector, with columns on both sides."""
    if len(rows) < 2 or len(columns) < 2:
        row_side, column_side = (np.zeros(len(part), dtype=bool) for part in (rows, columns))
        return _Division(rows, columns, row_side, column_side, -np.inf)
    table = whole[np.ix_(rows, columns)]
    of_rows, of_columns = table.sum(1), table.sum(0)
    # The first pair of singular vectors is known, and taken out.
    scaled = table / np.sqrt(np.outer(of_rows, of_columns))
    scaled -= np.sqrt(np.outer(of_rows, of_columns)) / table.sum()
    left, _, right = np.linalg.svd(scaled, full_matrices=False)
    f_rows, f_columns = left[:, 0] / np.sqrt(of_rows), right[0] / np.sqrt(of_columns)

    by_row, by_column = np.argsort(f_rows), np.argsort(f_columns)
    below = np.arange(1, len(columns))  # columns below each cut, and rows below it:
    cuts = (f_columns[by_column][1:] + f_columns[by_column][:-1]) / 2
    rows_below = np.searchsorted(f_rows[by_row], cuts)
    inside = np.pad(table[np.ix_(by_row, by_column)].cumsum(0).cumsum(1), (1, 0))
    both, volume = inside[rows_below, below], 2 * table.sum()
    part = inside[rows_below, -1] + inside[-1, below]
    across = part - 2 * both
    best = int((across / part + across / (volume - part)).argmin())
    row_side, column_side = (np.ones(len(each), dtype=bool) for each in (rows, columns))
    row_side[by_row[: rows_below[best]]] = False
    column_side[by_column[: below[best]]] = False

    degrees = whole.sum(1)[rows], whole.sum(0)[columns]
    lower, upper = (
        degrees[0][row_side == side].sum() + degrees[1][column_side == side].sum()
        for side in (False, True)
    )
    volume = 2 * whole.sum()
    gain = 2 * (lower * upper / volume - across[best]) / volume
    return _Division(rows, columns, row_side, column_side, float(gain))
