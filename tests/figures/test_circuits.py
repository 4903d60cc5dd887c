"""Figures of circuits: rows, colours and order."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from hdlib import figures
from hdlib.clustering import Circuits


def planted(k: int) -> Circuits:
    """Groups of 8 vectors and 3 features, vectors dealt out in turn."""
    groups, feature_groups = np.tile(np.arange(k), 8), np.repeat(np.arange(k), 3)
    energies = 0.05 + (groups[:, None] == feature_groups)
    curvatures = np.stack([np.diag(column) for column in energies.T])
    values = np.geomspace(0.01, 1, 8 * k)
    none = np.zeros(20)
    return Circuits(values, np.eye(8 * k), curvatures, groups, feature_groups, 0.3, none, none)


@pytest.mark.parametrize("k", [2, 8])
def test_rows_are_all_and_then_groups(k):
    figure = figures.circuits(planted(k), [f"f{i}" for i in range(3 * k)])
    upper, lower = figure.axes[:2]
    names = [label.get_text() for label in upper.get_yticklabels()]
    assert names == ["all", *(f"group {i}: 8" for i in range(k))]
    shown = np.asarray(lower.images[0].get_array())
    assert shown.shape == (8 * k, 3 * k)
    expected = np.kron(np.eye(k), np.ones((8, 3))).astype(bool)
    np.testing.assert_array_equal(shown > 0.1, expected)
    assert len([patch for patch in lower.patches if isinstance(patch, Rectangle)]) == k


def test_names_that_do_not_fit():
    with pytest.raises(ValueError, match="features must be 6 names, got 1"):
        figures.circuits(planted(2), ["one"])
