from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.patches import StepPatch

from hdlib.figures import density, evolution
from hdlib.figures.style import CATEGORIES, stage_colours

from .drawn import extents, png, xs, ys
from .spectra import known, through


def test_lines_are_the_ends_of_the_spectrum(trajectory, steps):
    before = dict(mpl.rcParams)
    fig = evolution(trajectory)
    lines = [line for line in fig.axes[0].lines if len(xs(line))]
    median, top, bottom = lines[0], lines[1:21], lines[21:]
    values = trajectory.eigenvalues
    np.testing.assert_array_equal(ys(median), np.median(values[:, 20:-20], axis=1))
    np.testing.assert_array_equal([ys(line) for line in top], values.T[:-21:-1])
    np.testing.assert_array_equal([ys(line) for line in bottom], values.T[:20])
    assert all((xs(line) == steps).all() for line in top)
    assert len(png(fig)) < 200_000
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()
    assert fig.get_facecolor() == (1, 1, 1, 1)


@pytest.mark.parametrize("n", [1, 2, 39, 41, 900])
@pytest.mark.parametrize("count", [1, 3])
def test_every_eigenvalue_is_drawn_for_any_size(n, count):
    values = np.sort(np.random.default_rng(n).standard_normal((count, n)), axis=1)
    fig = evolution(through(np.arange(count) * 50, values))
    lines = [line for line in fig.axes[0].lines if line.get_marker() == "." and len(xs(line))]
    assert len(lines) == min(n, 40)
    png(fig)


def test_all_zero_spectrum():
    png(evolution(through([0, 7], np.zeros((2, 90)))))
    png(density({"zero": np.zeros(90)}))


def test_both_ends_and_what_is_between(ends):
    fig = evolution(ends, shaded={"transition": (4200, 11_300)}, xscale="linear")
    (ax,) = fig.axes
    known_values = ends.eigenvalues
    lines = [line for line in ax.lines if len(xs(line))]
    np.testing.assert_array_equal([ys(line) for line in lines[:20]], known_values.T[:-21:-1])
    np.testing.assert_array_equal([ys(line) for line in lines[20:]], known_values.T[:20])
    bands = [part for part in ax.collections if isinstance(part, FillBetweenPolyCollection)]
    for band, (low, high) in zip(bands, ((39, 40), (20, 39), (40, 69)), strict=True):
        corners = np.asarray(band.get_paths()[0].vertices)
        for step, values in zip(ends.steps, known_values, strict=True):
            drawn = corners[corners[:, 0] == step, 1]
            assert (drawn.min(), drawn.max()) == (values[low], values[high])
    assert "94576 between, not resolved" in [part.get_label() for part in bands]
    assert extents(ax) == {"transition": (4200, 11_300)}
    assert ax.get_xscale() == "linear"


@pytest.mark.parametrize("lowest", [0, 1, 50, 90])
@pytest.mark.parametrize("count", [1, 3])
def test_evolution_of_any_ends(ends, lowest, count):
    spectra = [known(s.eigenvalues, n=97, lowest=lowest) for s in ends.spectra[:count]]
    fig = evolution(through(ends.steps[:count], spectra))
    lines = [line for line in fig.axes[0].lines if len(xs(line))]
    assert len(lines) == min(lowest, 20) + min(90 - lowest, 20)
    png(fig)


def test_evolution_refuses(ends):
    differing = through([0, 1], [known([1, 2], n=4, lowest=1), known([1, 2], n=4, lowest=2)])
    with pytest.raises(ValueError, match=r"got \(known, lowest\) of \[\(2, 1\), \(2, 2\)"):
        evolution(differing)
    with pytest.raises(ValueError, match="linthresh must be positive, got 0"):
        evolution(ends, linthresh=0)
    with pytest.raises(ValueError, match="transition must go from a step to a later one, got 9 to"):
        evolution(ends, shaded={"transition": (9, 4)})
    with pytest.raises(ValueError, match="scale of steps must be 'log' or 'linear', got 'sqrt'"):
        evolution(ends, xscale="sqrt")  # pyright: ignore[reportArgumentType]


def test_density_refuses_what_is_known_in_part(ends):
    with pytest.raises(ValueError, match="94576 of 94666 eigenvalues are not known: draw the"):
        density(ends.spectra[0])


def test_density_counts_every_eigenvalue(trajectory):
    fig = density(
        {"first": trajectory.spectra[0], "last": trajectory.spectra[-1], "few": [3.0, -90.0]}
    )
    histograms = [part for ax in fig.axes for part in ax.patches if isinstance(part, StepPatch)]
    totals = [np.sum(part.get_data()[0]) for part in histograms]
    assert totals == [5994, 5994, 2]
    edges = np.asarray(histograms[0].get_data()[1])
    zero = np.searchsorted(edges, 0.0)
    assert edges[zero - 1] == pytest.approx(-edges[zero])
    assert len(png(fig)) < 200_000


def test_step_axis_shows_step_zero_and_plain_numbers(trajectory, steps):
    fig = evolution(trajectory)
    fig.canvas.draw()
    ax = fig.axes[0]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["0", "10", "100", "1000", "10000"]
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_colours_are_distinct():
    assert len(set(CATEGORIES)) == len(CATEGORIES)
    assert len(set(stage_colours(25))) == 25
