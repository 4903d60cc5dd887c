"""Clusters followed through training, as drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from hdlib.clustering import Cluster, Event, Tracks
from hdlib.figures import Curve, Panel
from hdlib.figures.style import BLUE, INK, ORANGE
from hdlib.figures.tracks import NARROWEST, PER_MEMBER, cluster_tracks

STEPS = np.array([0, 100, 200])
VALUES = np.array([[1.0, 0.2, 0.19, 0.18], [1.0, 0.4, 0.38, 0.2], [1.0, 0.5, 0.48, 0.2]])
GROUPS = np.array([[0, 0, 0, 0], [0, 3, 3, 0], [0, 3, 7, 0]])
NAMES = {3: "k = 3", 7: "k = 7"}


def planted() -> Tracks:
    """One eigenvalue apart throughout; two of the bulk leave it at step 100."""
    head, both = Cluster(1, 1, 1, 1.0, 1.0), Cluster(2, 2, 3, 0.38, 0.4)
    clusters = (
        (head, Cluster(0, 2, 50, 0.18, 0.2)),
        (head, both, Cluster(0, 4, 50, 0.2, 0.2)),
        (head, both._replace(lower=0.48, upper=0.5), Cluster(0, 4, 50, 0.2, 0.2)),
    )
    return Tracks(STEPS, clusters, (Event(100, "born", (), (2,)),), 0.5)


def drawn(**changes):
    panels = {
        "share": Panel({"k = 3": Curve(STEPS, [0, 0.1, 0.5])}, covers=(0,)),
        "accuracy": Panel({"": Curve(STEPS, [0, 0, 1])}),
    }
    arguments = {"names": NAMES, "panels": panels} | changes
    return cluster_tracks(planted(), VALUES, GROUPS, **arguments)


def test_lines_are_as_wide_as_clusters_and_have_the_colour_of_their_group():
    ax, share, accuracy = drawn().axes
    lines = {
        tuple(x.tolist()): line
        for line in ax.lines
        for x, y in [np.asarray(line.get_data())]
        if len(x) == 2 and y[0] < 0.9
    }
    grown = lines[100, 200]
    assert grown.get_linewidth() == NARROWEST + PER_MEMBER
    assert to_hex(grown.get_color()).upper() == BLUE
    np.testing.assert_allclose(
        np.asarray(grown.get_data())[1], [(0.38 * 0.4) ** 0.5, (0.48 * 0.5) ** 0.5]
    )
    assert (0, 100) not in lines  # before it was born
    assert to_hex(share.lines[0].get_color()).upper() == BLUE
    assert to_hex(accuracy.lines[0].get_color()) == INK


def test_eigenvectors_are_dots_in_the_colour_of_their_group():
    dots = {
        to_hex(line.get_color()).upper(): sorted(map(tuple, np.asarray(line.get_data()).T.tolist()))
        for line in drawn().axes[0].lines
        if line.get_marker() == "o"
    }
    assert dots[BLUE] == [(100, 0.38), (100, 0.4), (200, 0.5)]
    assert dots[ORANGE] == [(200, 0.48)]


def test_births_are_marked():
    fig = drawn()
    marks = [line for line in fig.axes[0].lines if line.get_marker() == "^"]
    assert [np.asarray(line.get_data())[0].tolist() for line in marks] == [[100]]
    labels = [text.get_text() for text in fig.legends[0].texts]
    assert "born of the bulk" in labels
    assert "merged" not in labels


def test_bad_input():
    with pytest.raises(ValueError, match=r"groups \[7\] have no names"):
        drawn(names={3: "k = 3"})
    with pytest.raises(ValueError, match=r"groups must be \(3, 4\), as eigenvalues, got \(3, 3\)"):
        cluster_tracks(planted(), VALUES, GROUPS[:, :3], names=NAMES, panels={})
