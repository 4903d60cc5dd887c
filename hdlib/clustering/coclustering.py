"""Rows and columns of a table of energies, grouped together (Dhillon 2001)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.fiedler import bipartition

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class _Cut(NamedTuple):
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
        table: M, (m, F), not negative, no row or column zero.
        most: largest number of groups, K ≤ F.

    Returns:
        (K − 1, F) int64, for k = 2 … K the groups 0 … k − 1; fewer rows where nothing is left to
        cut.
    """
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


def _best_cut(whole: FloatArray, rows: IntArray, columns: IntArray) -> _Cut:
    """The cut of least normalised cut along the Fiedler vector, with columns on both sides."""
    table = whole[np.ix_(rows, columns)]
    none = _Cut(rows, columns, np.zeros(len(rows), bool), np.zeros(len(columns), bool), -np.inf)
    if len(rows) < 2 or len(columns) < 2 or not (table.sum(0) > 0).all():
        return none
    table, moved = table[table.sum(1) > 0], table.sum(1) > 0
    degrees = table.sum(1), table.sum(0)
    scaled = table / np.sqrt(np.outer(*degrees))
    # The first pair of singular vectors is known, and taken out.
    constant = [np.sqrt(degree / table.sum()) for degree in degrees]
    left, _, right = np.linalg.svd(scaled - np.outer(*constant), full_matrices=False)
    vector = np.concatenate([left[:, 0], right[0]]) / np.sqrt(np.concatenate(degrees))
    m = len(table)
    graph = np.zeros((len(vector), len(vector)))
    graph[:m, m:], graph[m:, :m] = table, table.T
    side, across, _ = bipartition(graph, vector, "ncut")
    row_side = np.zeros(len(rows), dtype=bool)
    row_side[moved] = side[:m]
    if side[m:].all() or not side[m:].any() or side[:m].all() or not side[:m].any():
        return none
    volume = 2 * whole.sum()
    own = whole.sum(1)[rows], whole.sum(0)[columns]
    above = own[0][row_side].sum() + own[1][side[m:]].sum()
    below = own[0].sum() + own[1].sum() - above
    return _Cut(rows, columns, row_side, side[m:], 2 * (above * below / volume - across) / volume)
