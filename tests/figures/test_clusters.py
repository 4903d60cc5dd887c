from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from hdlib.figures import cluster_count_curves, cluster_count_map, gap_barcode

from .drawn import bars, png, xs, ys

EPS = np.geomspace(1e-6, 10, 12)


def test_map_holds_the_counts(steps):
    counts = np.random.default_rng(0).integers(1, 900, (len(steps), len(EPS)))
    fig = cluster_count_map(steps, EPS, counts)
    (mesh,) = fig.axes[0].collections
    np.testing.assert_array_equal(np.asarray(mesh.get_array()), counts.T)
    # Every resolution lies inside its own row of cells, every checkpoint in its own column.
    assert isinstance(mesh, QuadMesh)
    corners = np.asarray(mesh.get_coordinates())
    assert ((corners[:-1, 0, 1] < EPS) & (corners[1:, 0, 1] > EPS)).all()
    assert (corners[0, :-1, 0] + 0.5).tolist() == list(range(len(steps)))


def test_labels_of_checkpoints_do_not_overlap(steps):
    fig = cluster_count_map(steps, EPS, np.ones((len(steps), len(EPS))))
    fig.canvas.draw()
    shown = fig.axes[0].get_xticklabels()
    assert shown[0].get_text() == "0"
    assert {int(label.get_text()) for label in shown} <= set(steps.tolist())
    boxes = [label.get_window_extent() for label in shown]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_one_checkpoint():
    png(cluster_count_map([7], EPS, np.full((1, len(EPS)), 3)))


def test_curves_hold_the_counts():
    curves = {"step 0": np.arange(12, 0, -1), "step 5": np.full(12, 4)}
    (ax,) = cluster_count_curves(EPS, curves).axes
    for line, (label, values) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == label
        np.testing.assert_array_equal(xs(line), EPS)
        np.testing.assert_array_equal(ys(line), values)


@pytest.mark.parametrize(
    ("eps", "counts", "message"),
    [
        ([1.0], [[1.0]], "eps must be at least 2 positive"),
        ([0.0, 1.0], [[2, 1]], "eps must be at least 2 positive"),
        ([2.0, 1.0], [[2, 1]], "strictly increasing"),
        ([1.0, 2.0], [[2, 0]], "counts must be at least 1, got 0"),
        ([1.0, 2.0], [[2, 1, 1]], r"counts must have shape \(1, 2\), got \(1, 3\)"),
    ],
)
def test_map_refuses(eps, counts, message):
    with pytest.raises(ValueError, match=message):
        cluster_count_map([0], eps, counts)


def test_curves_refuse():
    with pytest.raises(ValueError, match="curves must have at least one entry"):
        cluster_count_curves(EPS, {})
    with pytest.raises(ValueError, match=r"curves\['a'\] must be at least 1, got 0"):
        cluster_count_curves([1.0], {"a": [0]})


def test_bars_span_the_largest_gaps(trajectory, steps):
    ax = gap_barcode(steps, trajectory, k=15).axes[0]
    assert len(ax.patches) == 15 * len(steps)
    for index, values in enumerate(trajectory):
        column = bars(ax)[15 * index : 15 * index + 15]
        assert {round(bar.get_x() + bar.get_width() / 2) for bar in column} == {index}
        gaps = np.sort(np.diff(values))[::-1][:15]
        np.testing.assert_allclose([bar.get_height() for bar in column], gaps)
        assert np.isin([bar.get_y() for bar in column], values).all()


def test_barcode_of_few_gaps():
    fig = gap_barcode([0, 3], [[1.0, 1.0, 2.0], [4.0, 4.0, 4.0]])
    png(fig)
    assert len(fig.axes[0].patches) == 1


def test_barcode_refuses():
    with pytest.raises(ValueError, match="must differ at one checkpoint"):
        gap_barcode([0], [[1.0, 1.0]])
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        gap_barcode([0], [[1.0, 2.0]], k=0)
