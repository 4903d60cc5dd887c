from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from hdlib.figures import pair_maps

from .drawn import png

PLACES = np.arange(-2, 3)
VALUES = np.arange(25.0).reshape(5, 5)


def test_a_goes_to_the_right_and_b_upwards_on_one_scale():
    panels = {"one": VALUES, "two": 2 * VALUES, "three": VALUES}
    fig = pair_maps(panels, PLACES, label="power", names=("of a", "of b"), columns=2)
    maps = [ax for ax in fig.axes if ax.images]
    assert [ax.get_title("left") for ax in maps] == list(panels)
    for ax, values in zip(maps, panels.values(), strict=True):
        (image,) = ax.images
        np.testing.assert_array_equal(np.asarray(image.get_array()).T, values)
        assert (image.origin, image.get_clim()) == ("lower", (0, 48))
        assert tuple(image.get_extent()) == (-2.5, 2.5, -2.5, 2.5)
    assert [ax.get_xlabel() for ax in maps] == ["", "of a", "of a"]
    assert [ax.get_ylabel() for ax in maps] == ["of b", "", "of b"]
    png(fig)


def test_zero_on_a_logarithmic_scale_has_its_first_colour():
    norm = LogNorm(1, 24)
    (image,) = pair_maps(VALUES, PLACES, label="", names=("", ""), norm=norm).axes[0].images
    colours = image.to_rgba(np.asarray(image.get_array()))
    np.testing.assert_array_equal(colours[0, 0], image.get_cmap()(0.0))


@pytest.mark.parametrize(
    ("panels", "places", "message"),
    [
        ({}, PLACES, "panels must have at least one entry"),
        (VALUES, [0, 1, 2, 3, 5], "places must be at least 2 consecutive integers"),
        (VALUES[:4], PLACES, r"values must have shape \(5, 5\), got \(4, 5\)"),
        ({"a": VALUES * np.nan}, PLACES, r"panels\['a'\] must be finite, got nan"),
    ],
)
def test_refuses(panels, places, message):
    with pytest.raises(ValueError, match=message):
        pair_maps(panels, places, label="", names=("", ""))
