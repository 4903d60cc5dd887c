from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from hdlib.figures import filter_fates

from .drawn import png

RNG = np.random.default_rng(0)


def panels(fig):
    return [ax for ax in fig.axes if ax.images and not ax.get_label().startswith("<colorbar>")]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_and_frames(channels):
    filters = {label: RNG.normal(size=(4, channels, 5, 5)) for label in ("step 0", "step 9")}
    clusters = {"step 0": [0, 1, 0, 12], "step 9": [2, 2, 2, 2]}
    fig = filter_fates(filters, clusters)
    axes = panels(fig)
    assert len(axes) == 8
    weights = np.concatenate(list(filters.values()))
    expected = weights[:, 0] if channels == 1 else np.sqrt((weights**2).sum(1))
    for ax, picture in zip(axes, expected, strict=True):
        (image,) = ax.images
        np.testing.assert_allclose(np.asarray(image.get_array()), picture)
    assert len({ax.images[0].get_clim() for ax in axes}) == 1
    numbers = [ax.get_title("center") for ax in axes]
    assert numbers == ["1", "2", "1", "13", "3", "3", "3", "3"]
    frames = [(to_hex(spine.get_edgecolor()), spine.get_linestyle()) for spine in map(left, axes)]
    assert frames[0] == frames[2] != frames[1]
    assert len(set(frames[4:])) == 1
    # The 13th cluster has the colour of the 3rd, but dashed.
    assert frames[3][0] == frames[4][0]
    assert frames[3][1] != frames[4][1]
    png(fig)


def left(ax):
    return ax.spines["left"]


@pytest.mark.parametrize(
    ("filters", "clusters", "message"),
    [
        ({}, {}, "filters must have at least one entry"),
        ({"a": np.ones((2, 5, 5))}, {"a": [0, 1]}, r"must have shape \(any, any, any, any\)"),
        ({"a": np.ones((2, 1, 5, 5))}, {}, r"clusters must have the keys \('a',\)"),
        ({"a": np.ones((2, 1, 5, 5))}, {"a": [0]}, r"clusters\['a'\] must have shape \(2\)"),
        ({"a": np.ones((2, 1, 5, 5))}, {"a": [0, 30]}, r"clusters\['a'\] must be integers 0 to 29"),
        ({"a": np.ones((2, 1, 5, 5))}, {"a": [0, -1]}, r"clusters\['a'\] must be integers 0 to 29"),
    ],
)
def test_refuses(filters, clusters, message):
    with pytest.raises(ValueError, match=message):
        filter_fates(filters, clusters)


def test_refuses_filters_of_different_shape():
    filters = {"a": np.ones((2, 1, 5, 5)), "b": np.ones((2, 2, 5, 5))}
    with pytest.raises(ValueError, match=r"filters\['b'\] must have shape \(2, 1, 5, 5\)"):
        filter_fates(filters, {"a": [0, 0], "b": [0, 0]})
