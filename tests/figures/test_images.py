from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from hdlib.figures import filters

from .drawn import png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_and_frames(channels):
    weights = {label: RNG.normal(size=(4, channels, 5, 5)) for label in ("step 0", "step 9")}
    clusters = {"step 0": [0, 1, 0, 12], "step 9": [2, 2, 2, 2]}
    fig = filters(weights, clusters)
    axes = fig.axes[:8]
    every = np.concatenate(list(weights.values()))
    expected = every[:, 0] if channels == 1 else np.sqrt((every**2).sum(1))
    for ax, picture in zip(axes, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), picture)
    limit = np.abs(expected).max()
    (limits,) = {ax.images[0].get_clim() for ax in axes}
    assert limits == pytest.approx((-limit if channels == 1 else 0, limit))
    assert [ax.get_ylabel() for ax in axes[::4]] == list(weights)
    numbers = [ax.get_title("center") for ax in axes]
    assert numbers == ["1", "2", "1", "13", "3", "3", "3", "3"]
    left = [ax.spines["left"] for ax in axes]
    frames = [(to_hex(spine.get_edgecolor()), spine.get_linestyle()) for spine in left]
    assert frames[0] == frames[2] != frames[1]
    assert len(set(frames[4:])) == 1
    # The 13th cluster has the colour of the 3rd, but dashed.
    assert frames[3][0] == frames[4][0]
    assert frames[3][1] != frames[4][1]
    png(fig)


def test_without_clusters_there_are_no_frames():
    fig = filters({"step 0": np.zeros((1, 1, 3, 3))})
    assert not any(spine.get_visible() for spine in fig.axes[0].spines.values())
    assert fig.axes[0].get_title("center") == ""
    png(fig)


ONES = {"a": np.ones((2, 1, 5, 5))}


@pytest.mark.parametrize(
    ("weights", "clusters", "message"),
    [
        ({}, None, "weights must have at least one entry"),
        ({"a": np.ones((2, 5, 5))}, None, r"must have shape \(any, any, any, any\)"),
        ({**ONES, "b": np.ones((2, 2, 5, 5))}, None, r"weights\['b'\] must have shape \(2, 1, 5,"),
        (ONES, {}, r"clusters must have the keys \('a',\)"),
        (ONES, {"a": [0]}, r"clusters\['a'\] must have shape \(2\)"),
        (ONES, {"a": [0, 30]}, r"clusters\['a'\] must be integers 0 to 29"),
        (ONES, {"a": [0, -1]}, r"clusters\['a'\] must be integers 0 to 29"),
    ],
)
def test_refuses(weights, clusters, message):
    with pytest.raises(ValueError, match=message):
        filters(weights, clusters)
