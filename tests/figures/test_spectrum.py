from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import StepPatch

from hdlib.figures import density, spectrum_evolution
from hdlib.figures.style import CATEGORIES, stage_colours

from .drawn import png, xs, ys


def test_lines_are_the_ends_of_the_spectrum(trajectory, steps):
    before = dict(mpl.rcParams)
    fig = spectrum_evolution(steps, trajectory)
    lines = [line for line in fig.axes[0].lines if len(xs(line))]
    median, top, bottom = lines[0], lines[1:21], lines[21:]
    np.testing.assert_array_equal(ys(median), np.median(trajectory[:, 20:-20], axis=1))
    np.testing.assert_array_equal([ys(line) for line in top], trajectory.T[:-21:-1])
    np.testing.assert_array_equal([ys(line) for line in bottom], trajectory.T[:20])
    assert all((xs(line) == steps).all() for line in top)
    assert len(png(fig)) < 200_000
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()
    assert fig.get_facecolor() == (1, 1, 1, 1)


@pytest.mark.parametrize("n", [1, 2, 39, 41, 900])
@pytest.mark.parametrize("count", [1, 3])
def test_every_eigenvalue_is_drawn_for_any_size(n, count):
    values = np.sort(np.random.default_rng(n).standard_normal((count, n)), axis=1)
    fig = spectrum_evolution(np.arange(count) * 50, values)
    lines = [line for line in fig.axes[0].lines if line.get_marker() == "." and len(xs(line))]
    assert len(lines) == min(n, 40)
    png(fig)


def test_all_zero_spectrum():
    png(spectrum_evolution([0, 7], np.zeros((2, 90))))
    png(density({"zero": np.zeros(90)}))


@pytest.mark.parametrize(
    ("steps", "values", "options", "message"),
    [
        ([0, 0], np.ones((2, 3)), {}, "steps must be integers ≥ 0, strictly increasing"),
        ([0, 0.5], np.ones((2, 3)), {}, "steps must be integers"),
        ([], np.ones((0, 3)), {}, "steps must be a non-empty vector"),
        ([0, 1], np.ones((3, 3)), {}, r"eigenvalues must have shape \(2, any\), got \(3, 3\)"),
        ([0], [[1, np.inf]], {}, r"eigenvalues must be finite, got inf at index \(0, 1\)"),
        ([0], [[1, 2]], {"linthresh": 0}, "linthresh must be positive, got 0"),
    ],
)
def test_refuses(steps, values, options, message):
    with pytest.raises(ValueError, match=message):
        spectrum_evolution(steps, values, **options)


def test_density_counts_every_eigenvalue(trajectory):
    fig = density({"first": trajectory[0], "last": trajectory[-1], "few": [3.0, -90.0]})
    histograms = [part for ax in fig.axes for part in ax.patches if isinstance(part, StepPatch)]
    totals = [np.sum(part.get_data()[0]) for part in histograms]
    assert totals == [5994, 5994, 2]
    edges = np.asarray(histograms[0].get_data()[1])
    zero = np.searchsorted(edges, 0.0)
    assert edges[zero - 1] == pytest.approx(-edges[zero])
    assert len(png(fig)) < 200_000


def test_step_axis_shows_step_zero_and_plain_numbers(trajectory, steps):
    fig = spectrum_evolution(steps, trajectory)
    fig.canvas.draw()
    ax = fig.axes[0]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["0", "10", "100", "1000", "10000"]
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_colours_are_distinct():
    assert len(set(CATEGORIES)) == len(CATEGORIES)
    assert len(set(stage_colours(25))) == 25
