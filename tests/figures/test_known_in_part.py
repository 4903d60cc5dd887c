"""Figures of spectra of which only the ends are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.scale import SymmetricalLogTransform

from hdlib.clustering import Dendrogram
from hdlib.figures import (
    dendrogram,
    dendrogram_animation,
    dendrogram_slider,
    density,
    gap_barcode,
    spectrum_evolution,
)
from hdlib.figures.tree import build_tree, height_limits

from .drawn import bars, png, xs, ys

LOWEST, N = 40, 94_666
STEPS = np.array([0, 100, 17_000])


@pytest.fixture(scope="module")
def known():
    """Ends of three spectra; what is between them would be the largest gap by far."""
    rng = np.random.default_rng(0)
    low, high = -rng.gamma(1, 1e-3, (3, 40)), 5 + rng.gamma(1, 0.1, (3, 50))
    return np.sort(np.hstack([low, high]), axis=1)


@pytest.fixture(scope="module")
def trees(known):
    return [Dendrogram(values, N, LOWEST) for values in known]


def gaps(values, count):
    inside = np.delete(np.diff(values), LOWEST - 1)
    return np.sort(inside)[::-1][:count]


def test_tree_has_the_bulk_as_one_leaf(known, trees):
    tree = build_tree(trees[0], merges=10, floor=1e-9)
    np.testing.assert_array_equal(tree.merges[::-1, 1, 1], gaps(known[0], 10))
    assert tree.members.sum() == N
    (bulk,) = np.flatnonzero(np.isnan(tree.mean))
    assert bulk == tree.largest
    assert tree.labels[bulk] == f"bulk (×{tree.members[bulk]})"
    assert tree.lower[bulk] <= known[0, 39] < known[0, 40] <= tree.upper[bulk]
    assert height_limits(trees[:1], merges=10)[1] < 5


@pytest.mark.parametrize(("position", "leaf", "side"), [(0, 0, "lower"), (3, -1, "upper")])
def test_nothing_is_known_beyond_a_bulk_at_an_end(position, leaf, side):
    dendro = Dendrogram(np.array([1.0, 2.0, 4.0]), 13, position)
    tree = build_tree(dendro, merges=1, floor=0.1)
    assert np.isinf(getattr(tree, side)[leaf])
    assert tree.labels[leaf].startswith("bulk")


def test_dendrograms_leave_the_bulk_out(known, trees):
    fig = dendrogram(dict(zip("abc", trees, strict=True)), merges=12)
    for ax, values in zip(fig.axes, known, strict=True):
        (branches,) = (part for part in ax.collections if isinstance(part, LineCollection))
        heights = sorted((part[1, 1] for part in branches.get_segments()), reverse=True)
        np.testing.assert_array_equal(heights, gaps(values, 12))
        assert "90 of 94666 eigenvalues known" in ax.get_title(loc="left")
    png(fig)
    (alone,) = dendrogram(trees[0]).axes
    assert alone.get_title(loc="left") == "90 of 94666 eigenvalues known"


def test_slider_and_animation_leave_the_bulk_out(known, trees):
    content = json.loads(str(dendrogram_slider(STEPS, trees, merges=12).to_json()))
    assert content["layout"]["title"]["text"] == "90 of 94666 eigenvalues known"
    for frame, values in zip(content["frames"], known, strict=True):
        _, tops, leaves = frame["data"]
        np.testing.assert_allclose(np.array(tops["y"])[::-1], gaps(values, 12), rtol=1e-3)
        assert sum(int(text.split()[0]) for text in leaves["text"]) == 94_666
    with_bulk = dendrogram_animation(STEPS[:1], trees[:1])
    assert with_bulk.data != dendrogram_animation(STEPS[:1], known[:1]).data


def test_barcode_draws_the_bulk_as_no_gap(known, trees):
    ax = gap_barcode(STEPS, trees, k=5, linthresh=1e-4).axes[0]
    drawn = bars(ax)
    assert len(drawn) == 3 * 5 + 3
    for index, values in enumerate(known):
        heights = [bar.get_height() for bar in drawn[5 * index : 5 * index + 5]]
        np.testing.assert_allclose(heights, gaps(values, 5))
        bulk = drawn[15 + index]
        assert bulk.get_y() == values[39]
        assert bulk.get_y() + bulk.get_height() == pytest.approx(values[40])
    transform = ax.yaxis.get_transform()
    assert isinstance(transform, SymmetricalLogTransform)
    assert transform.linthresh == 1e-4
    assert len(bars(gap_barcode([0], [Dendrogram(known[0, 40:], 59, 0)], k=5).axes[0])) == 5


def test_evolution_shows_both_ends_and_what_is_between(known, trees):
    fig = spectrum_evolution(STEPS, trees, transition=(4200, 11_300), step_scale="linear")
    (ax,) = fig.axes
    lines = [line for line in ax.lines if len(xs(line))]
    np.testing.assert_array_equal([ys(line) for line in lines[:20]], known.T[:-21:-1])
    np.testing.assert_array_equal([ys(line) for line in lines[20:]], known.T[:20])
    bands = [part for part in ax.collections if isinstance(part, FillBetweenPolyCollection)]
    for band, (low, high) in zip(bands, ((39, 40), (20, 39), (40, 69)), strict=True):
        corners = np.asarray(band.get_paths()[0].vertices)
        for step, values in zip(STEPS, known, strict=True):
            drawn = corners[corners[:, 0] == step, 1]
            assert (drawn.min(), drawn.max()) == (values[low], values[high])
    assert "94576 between, not resolved" in [part.get_label() for part in bands]
    (transition,) = ax.patches
    box = transition.get_path().get_extents(transition.get_patch_transform())
    assert (box.x0, box.x1) == (4200, 11_300)
    assert ax.get_xscale() == "linear"
    png(fig)


@pytest.mark.parametrize("position", [0, 1, 50, 90])
@pytest.mark.parametrize("count", [1, 3])
def test_evolution_of_any_ends(known, position, count):
    trees = [Dendrogram(values, 97, position) for values in known[:count]]
    fig = spectrum_evolution(STEPS[:count], trees)
    lines = [line for line in fig.axes[0].lines if len(xs(line))]
    assert len(lines) == min(position, 20) + min(90 - position, 20)
    png(fig)


def test_refuses(known, trees):
    for draw in (dendrogram_slider, dendrogram_animation, gap_barcode, spectrum_evolution):
        with pytest.raises(ValueError, match="of each spectrum as many eigenvalues must be known"):
            draw(STEPS, [*trees[:2], Dendrogram(known[2], N, LOWEST + 1)])
        with pytest.raises(ValueError, match="spectra must be 3, one for each step, got 2"):
            draw(STEPS, trees[:2])
    with pytest.raises(ValueError, match="94576 of 94666 eigenvalues are not known: draw the"):
        density({"a": trees[0]})
    with pytest.raises(ValueError, match="transition must go from a step to a later one, got 9 to"):
        spectrum_evolution(STEPS, known, transition=(9, 4))
    with pytest.raises(ValueError, match="scale of steps must be 'log' or 'linear', got 'sqrt'"):
        spectrum_evolution(STEPS, known, step_scale="sqrt")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="linthresh must be positive, got 0"):
        gap_barcode(STEPS, known, linthresh=0)
