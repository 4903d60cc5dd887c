from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from hdlib.figures import coupling_matrix
from hdlib.figures.style import GRID

from .drawn import bars, png

NAMES = ["conv1", "linear"]
MATRIX = np.random.default_rng(0).random((6, 6)) + 0.1
SHARES = np.array([[1, 0], [0.5, 0.5], [0, 1], [0.25, 0.75], [1, 0], [0, 1]])


def test_panels_hold_the_couplings_and_the_shares():
    couplings = {"first": MATRIX, "second": MATRIX.T * 100, "third": MATRIX}
    fig = coupling_matrix(couplings, dict.fromkeys(couplings, SHARES), NAMES)
    panels = [ax for ax in fig.axes if ax.images]
    norms = []
    for ax, (label, matrix) in zip(panels, couplings.items(), strict=True):
        assert ax.get_title("left") == label
        (image,) = ax.images
        np.testing.assert_array_equal(np.asarray(image.get_array()), matrix)
        norms.append((image.norm.vmin, image.norm.vmax))
        (strip,) = ax.child_axes
        assert isinstance(strip, Axes)
        drawn = np.array([bar.get_width() for bar in bars(strip)]).reshape(2, -1)
        np.testing.assert_array_equal(drawn.T, SHARES)
        assert strip.get_ylim() == ax.get_ylim()
    assert len(set(norms)) == 1
    png(fig)


def test_no_coupling_is_grey():
    matrix = MATRIX.copy()
    matrix[2], matrix[3, 3] = 0, np.nan
    fig = coupling_matrix({"": matrix}, {"": SHARES}, NAMES)
    (image,) = fig.axes[0].images
    colours = image.to_rgba(np.asarray(image.get_array()))
    grey = np.isclose(colours, to_rgba(GRID)).all(-1)
    np.testing.assert_array_equal(grey, ~(matrix > 0))
    png(fig)


@pytest.mark.parametrize(
    ("matrix", "shares", "message"),
    [
        (MATRIX[:5], SHARES[:5], r"must have shape \(5, 5\), got \(5, 6\)"),
        (-MATRIX, SHARES, r"couplings\['a'\] must be ≥ 0, got -1"),
        (np.zeros((6, 6)), SHARES, "couplings must be positive somewhere"),
        (MATRIX, SHARES[:5], r"shares\['a'\] must have shape \(6, 2\), got \(5, 2\)"),
    ],
)
def test_refuses(matrix, shares, message):
    with pytest.raises(ValueError, match=message):
        coupling_matrix({"a": matrix}, {"a": shares}, NAMES)


def test_refuses_nothing_to_draw():
    with pytest.raises(ValueError, match="couplings must have at least one entry"):
        coupling_matrix({}, {}, NAMES)
