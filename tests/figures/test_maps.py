from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize, to_rgba

from hdlib.figures import cluster_count_map, coupling_matrix, heat_map, overlap_map, step_map
from hdlib.figures.style import GRID

from .drawn import bars, png, ys
from .spectra import through

ROWS, COLUMNS = ["layer 1", "layer 2"], ["8", "16", "32"]
VALUES = np.array([[0.1, 0.4, 0.9], [0.5, 1.0, 0.0]])
STEPS = np.array([0, 10, 100, 5000])
POWER = np.random.default_rng(0).gamma(1, 5, (4, 56))


def mesh_of(fig):
    (mesh,) = fig.axes[0].collections
    assert isinstance(mesh, QuadMesh)
    return mesh, np.asarray(mesh.get_coordinates())


def test_panels_of_a_heat_map_share_rows_columns_and_colours():
    fig = heat_map({"a": VALUES, "b": VALUES * 2}, ROWS, COLUMNS, label="accuracy")
    for ax, (title, scale) in zip(fig.axes, {"a": 1, "b": 2}.items(), strict=False):
        assert ax.get_title("left") == title
        (image,) = ax.images
        np.testing.assert_array_equal(np.asarray(image.get_array()), VALUES * scale)
        assert image.get_clim() == (0, 2)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == COLUMNS
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == ROWS
    png(fig)


def test_cells_are_written_and_bold_in_the_upper_half():
    cells = [[f"{value:.0%}" for value in row] for row in VALUES]
    names = [f"a long name {i}" for i in range(3)]
    fig = heat_map(VALUES, ROWS, names, label="share", norm=Normalize(0, 1), cells=cells)
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.texts] == [text for row in cells for text in row]
    bold = [text.get_fontweight() == "bold" for text in ax.texts]
    assert bold == (VALUES > 0.5).ravel().tolist()
    png(fig)


def test_numbers_beneath_a_scale_have_its_first_colour():
    fig = heat_map(VALUES, ROWS, COLUMNS, label="ratio", norm=LogNorm(0.2, 5), cmap="PuOr_r")
    (image,) = fig.axes[0].images
    colours = image.to_rgba(np.asarray(image.get_array()))
    np.testing.assert_array_equal(colours[1, 2], image.get_cmap()(0.0))
    assert image.norm(np.ones(1)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({}, {}, "panels must have at least one entry"),
        (VALUES[:1], {}, r"values must have shape \(2, 3\), got \(1, 3\)"),
        ({"a": VALUES * np.nan}, {}, r"panels\['a'\] must be finite, got nan"),
        (VALUES, {"cells": [["a"]]}, r"cells must have shape \(2, 3\), got \(1, 1\)"),
    ],
)
def test_heat_map_refuses(values, options, message):
    with pytest.raises(ValueError, match=message):
        heat_map(values, ROWS, COLUMNS, label="", **options)


def test_map_over_steps_holds_the_values():
    fig = step_map(
        STEPS, np.arange(1, 57), POWER, ylabel="frequency", label="power", marked=[50, 1, 2]
    )
    mesh, corners = mesh_of(fig)
    assert isinstance(mesh.norm, LogNorm)
    np.testing.assert_array_equal(np.asarray(mesh.get_array()), POWER.T)
    # Every frequency is the middle of its row; every checkpoint is in its column.
    np.testing.assert_array_equal(corners[:-1, 0, 1] + 0.5, np.arange(1, 57))
    assert corners[0, :, 0].tolist() == [0, 5, 55, 2550, 5000]
    ax = fig.axes[0]
    np.testing.assert_array_equal(ys(ax.lines[0]), [1, 2, 50])
    assert [text.get_text() for text in ax.texts] == ["1", "2", "50"]
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert boxes[0].y1 < boxes[1].y0 + 2
    png(fig)


def test_map_of_zeros_and_of_one_checkpoint():
    png(step_map([7], np.arange(5), np.eye(1, 5), ylabel="", label=""))


@pytest.mark.parametrize(
    ("y", "values", "marked", "message"),
    [
        (np.arange(5), np.zeros((4, 5)), [], "values must be ≥ 0 and not all zero, got a minimum"),
        (np.arange(56), -POWER, [], "values must be ≥ 0 and not all zero"),
        (np.arange(56), POWER[:3], [], r"values must have shape \(4, 56\), got \(3, 56\)"),
        (np.arange(56), POWER, [0.5, 3], r"marked must be different ones of y, got \[0.5, 3\]"),
        (np.arange(56), POWER, [3, 3], "marked must be different ones of y"),
        ([0, 1, 9], np.ones((4, 3)), [], "y must be at least 2 positive, strictly increasing"),
    ],
)
def test_map_over_steps_refuses(y, values, marked, message):
    with pytest.raises(ValueError, match=message):
        step_map(STEPS, y, values, ylabel="", label="", marked=marked)


def test_clusters_at_every_resolution_and_checkpoint(trajectory):
    eps = trajectory.resolutions(12)
    fig = cluster_count_map(trajectory, eps)
    mesh, corners = mesh_of(fig)
    counts = [1 + (np.diff(s.eigenvalues)[:, None] > eps).sum(0) for s in trajectory.spectra]
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).T, counts)
    # Every resolution lies inside its own row of cells, every checkpoint in its own column.
    assert ((corners[:-1, 0, 1] < eps) & (corners[1:, 0, 1] > eps)).all()
    assert (corners[0, :-1, 0] + 0.5).tolist() == list(range(len(trajectory)))
    fig.canvas.draw()
    labels = fig.axes[0].get_xticklabels()
    assert {int(label.get_text()) for label in labels} <= set(trajectory.steps.tolist())
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_clusters_refuse():
    spectra = through([7], [[1.0, 2.0]])
    png(cluster_count_map(spectra, [0.5, 2.0]))
    for eps in ([1.0], [0.0, 1.0], [2.0, 1.0]):
        with pytest.raises(ValueError, match="resolutions must be at least 2 positive, strictly"):
            cluster_count_map(spectra, eps)


def test_overlaps_of_checkpoints(steps):
    overlaps = np.random.default_rng(0).random((len(steps), len(steps)))
    fig = overlap_map(steps, overlaps)
    np.testing.assert_array_equal(np.asarray(fig.axes[0].images[0].get_array()), overlaps)
    png(fig)
    with pytest.raises(ValueError, match=r"overlaps must have shape \(2, 2\)"):
        overlap_map([0, 1], [[1.0]])
    with pytest.raises(ValueError, match=r"overlaps must lie in \[0, 1\], got 1.5 to 1.5"):
        overlap_map([0], [[1.5]])


NAMES = ["conv1", "linear"]
MATRIX = np.random.default_rng(0).random((6, 6)) + 0.1
SHARES = np.array([[1, 0], [0.5, 0.5], [0, 1], [0.25, 0.75], [1, 0], [0, 1]])


def test_couplings_and_the_shares_beside_them():
    couplings = {"first": MATRIX, "second": MATRIX.T * 100, "third": MATRIX}
    fig = coupling_matrix(couplings, dict.fromkeys(couplings, SHARES), NAMES)
    panels = [ax for ax in fig.axes if ax.images]
    for ax, (label, matrix) in zip(panels, couplings.items(), strict=True):
        assert ax.get_title("left") == label
        np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), matrix)
        (strip,) = ax.child_axes
        assert isinstance(strip, Axes)
        drawn = np.array([bar.get_width() for bar in bars(strip)]).reshape(2, -1)
        np.testing.assert_array_equal(drawn.T, SHARES)
        assert strip.get_ylim() == ax.get_ylim()
    assert len({ax.images[0].get_clim() for ax in panels}) == 1
    png(fig)


def test_no_coupling_is_grey():
    matrix = MATRIX.copy()
    matrix[2], matrix[3, 3] = 0, np.nan
    (image,) = coupling_matrix({"": matrix}, {"": SHARES}, NAMES).axes[0].images
    colours = image.to_rgba(np.asarray(image.get_array()))
    grey = np.isclose(colours, to_rgba(GRID)).all(-1)
    np.testing.assert_array_equal(grey, ~(matrix > 0))


@pytest.mark.parametrize(
    ("couplings", "shares", "message"),
    [
        ({}, {}, "couplings must have at least one entry"),
        ({"a": MATRIX[:5]}, {"a": SHARES[:5]}, r"must have shape \(5, 5\), got \(5, 6\)"),
        ({"a": -MATRIX}, {"a": SHARES}, r"couplings\['a'\] must be ≥ 0, got -1"),
        ({"a": np.zeros((6, 6))}, {"a": SHARES}, "couplings must be positive somewhere"),
        ({"a": MATRIX}, {"a": SHARES[:5]}, r"shares\['a'\] must have shape \(6, 2\), got \(5, 2\)"),
        ({"a": MATRIX}, {}, r"shares must have the keys \('a',\)"),
    ],
)
def test_couplings_refuse(couplings, shares, message):
    with pytest.raises(ValueError, match=message):
        coupling_matrix(couplings, shares, NAMES)
