from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, SymLogNorm

from hdlib.figures import embedding_spectrum, frequency_overlap, frequency_responses

from .drawn import png, xs, ys

STEPS = np.array([0, 10, 100, 5000])
POWER = np.random.default_rng(0).gamma(1, 5, (4, 56))


def test_map_of_frequencies_holds_the_power():
    fig = embedding_spectrum(STEPS, POWER, key_frequencies=[50, 1, 2])
    ax = fig.axes[0]
    (mesh,) = ax.collections
    assert isinstance(mesh, QuadMesh)
    assert isinstance(mesh.norm, LogNorm)
    np.testing.assert_array_equal(np.asarray(mesh.get_array()), POWER.T)
    corners = np.asarray(mesh.get_coordinates())
    # Every frequency is the middle of its row; every checkpoint is in its column.
    np.testing.assert_array_equal(corners[:-1, 0, 1] + 0.5, np.arange(1, 57))
    assert corners[0, :, 0].tolist() == [0, 5, 55, 2550, 5000]
    np.testing.assert_array_equal(ys(ax.lines[0]), [1, 2, 50])
    assert [text.get_text() for text in ax.texts] == ["1", "2", "50"]
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert boxes[0].y1 < boxes[1].y0 + 2
    png(fig)


def test_power_of_zero_and_one_checkpoint():
    png(embedding_spectrum([7], np.eye(1, 5)))


@pytest.mark.parametrize(
    ("power", "keys", "message"),
    [
        (np.zeros((4, 5)), [], "power must be ≥ 0 and not all zero, got a minimum of 0"),
        (-POWER, [], "power must be ≥ 0 and not all zero"),
        (POWER[:3], [], r"power must have shape \(4, any\), got \(3, 56\)"),
        (POWER, [0, 3], r"key_frequencies must be different ones of 1 to 56, got \[0, 3\]"),
        (POWER, [57], "different ones of 1 to 56"),
        (POWER, [3, 3], "different ones of 1 to 56"),
    ],
)
def test_map_of_frequencies_refuses(power, keys, message):
    with pytest.raises(ValueError, match=message):
        embedding_spectrum(STEPS, power, key_frequencies=keys)


def test_overlap_is_weight_over_chance():
    rng = np.random.default_rng(1)
    chance = np.array([0.01, 0.02, 0.2])
    weights = {"embedding": (rng.random((30, 3)) / 50, chance), "other": (np.eye(30, 3), chance)}
    values = np.geomspace(1, 1e-3, 30)
    fig = frequency_overlap(values, weights, ["constant", "7", "others"])
    for ax, (label, (weight, expected)) in zip(fig.axes, weights.items(), strict=False):
        (image,) = ax.images
        np.testing.assert_allclose(np.asarray(image.get_array()), weight / expected)
        # 100 is the largest ratio; chance is in the middle of the colours.
        assert image.norm(np.ones(1)) == pytest.approx(0.5)
        assert image.get_clim() == pytest.approx((0.01, 100))
        assert ax.get_title(loc="left") == label
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["constant", "7", "others"]
    labels = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert (labels[0], labels[-1]) == ("1", "0.001")
    png(fig)


def test_overlap_near_chance_has_no_strong_colours():
    fig = frequency_overlap([1.0], {"a": ([[0.1, 0.12]], [0.1, 0.1])}, ["1", "2"])
    assert fig.axes[0].images[0].get_clim() == pytest.approx((0.1, 10))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "weights must have at least one entry"),
        ({"a": ([[1.0]], [0.1])}, r"expected weights of 'a' must have shape \(2\)"),
        ({"a": ([[1.0]], [0.1, 0.1])}, r"weights of 'a' must have shape \(1, 2\), got \(1, 1\)"),
        ({"a": ([[1.0, 1.0]], [0.1, 0.0])}, "expected weights of 'a' must be positive, got 0"),
        ({"a": ([[1.0, -1.0]], [0.1, 0.1])}, "weights of 'a' must not be negative, got -1"),
    ],
)
def test_overlap_refuses(weights, message):
    with pytest.raises(ValueError, match=message):
        frequency_overlap([1.0], weights, ["1", "2"])


def test_responses_beside_those_of_random_directions():
    rng = np.random.default_rng(2)
    random = rng.normal(0, 1e-3, (20, 4))
    responses = np.diag([1.0, -2.0, 3.0, 4.0])
    responses[3] = 1
    fig = frequency_responses([4.0, 3, 2, 1], responses, random, frequencies=[1, 3, 21, 50])
    left, middle, right = fig.axes[:3]
    for ax, changes in ((left, responses), (middle, random)):
        (image,) = ax.images
        np.testing.assert_array_equal(np.asarray(image.get_array()), changes)
        assert isinstance(image.norm, SymLogNorm)
        assert image.get_clim() == (-3, 3)
        assert image.norm.linthresh == pytest.approx(np.quantile(np.abs(random), 0.95))
    # One frequency alone, three times, and all alike.
    np.testing.assert_allclose(xs(right.lines[-1]), [1, 1, 1, 0.25])
    shares = np.abs(random).max(1) / np.abs(random).sum(1)
    assert set(xs(right.lines[0])) == {np.median(shares)}
    (band,) = right.patches
    box = band.get_path().get_extents(band.get_patch_transform())
    np.testing.assert_allclose([box.x0, box.x1], np.quantile(shares, [0.05, 0.95]))
    png(fig)


def test_responses_of_nothing():
    responses = np.array([[0.0, 0.0], [1.0, 0.0]])
    fig = frequency_responses([1.0, 0.5], responses, np.zeros((3, 2)), frequencies=[1, 2])
    np.testing.assert_array_equal(xs(fig.axes[2].lines[-1]), [np.nan, 1])
    png(fig)


def test_responses_refuse():
    with pytest.raises(ValueError, match=r"responses must have shape \(1, 2\), got \(1, 1\)"):
        frequency_responses([1.0], [[1.0]], [[1.0, 1.0]], frequencies=[1, 2])
    with pytest.raises(ValueError, match=r"random must have shape \(any, 1\), got \(1, 2\)"):
        frequency_responses([1.0], [[1.0]], [[1.0, 1.0]], frequencies=[1])
