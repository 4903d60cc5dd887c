from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import Curve, Panel, curves, dots

from .drawn import png, xs

ROWS = {"first": {"plain": [300, 700]}, "second": {"plain": [np.inf], "routed": [20, np.inf]}}


def points(ax):
    """Colour, x and whether it is hollow, of each point."""
    drawn = [line for line in ax.lines if len(xs(line)) == 1 and line.get_marker() == "o"]
    return [(p.get_color(), float(xs(p)[0]), p.get_markerfacecolor() == "none") for p in drawn]


def test_values_that_were_not_reached_stand_open_beyond_the_limit():
    fig = dots(ROWS, limit=1_000, xlabel="step", beyond="not within 1,000 steps")
    (ax,) = fig.axes
    colours, places, hollow = zip(*points(ax), strict=True)
    assert places == (300, 700, 1_080, 20, 1_080)
    assert hollow == (False, False, True, False, True)
    assert len({*colours[:3]}) == 1 != len(set(colours))
    assert [text.get_text() for text in ax.get_yticklabels()] == list(ROWS)
    told = [text.get_text() for text in fig.legends[0].get_texts()]
    assert told == ["plain", "routed", "not within 1,000 steps"]
    png(fig)


def test_equal_values_can_be_counted():
    (ax,) = dots({"": {"": [5, 5, 5]}}, limit=9, xlabel="", beyond="").axes
    heights = {float(np.ravel(line.get_ydata())[0]) for line in ax.lines if len(xs(line)) == 1}
    assert len(heights) == 3


def test_curves_have_hollow_markers_where_that_is_asked():
    found = {"a": [Curve([1], [2]), Curve([2], [3], markers="hollow")]}
    (ax,) = curves(Panel({}, points=found)).axes
    full, hollow = ax.lines
    assert (full.get_markerfacecolor() == "none", hollow.get_markerfacecolor()) == (False, "none")
    assert full.get_color() == hollow.get_color()


@pytest.mark.parametrize(
    ("rows", "limit", "message"),
    [
        ({}, 9, "rows must have at least one entry"),
        ({"a": {}}, 9, r"rows\['a'\] must have at least one entry"),
        ({"a": {"": [-1]}}, 9, "must be from 0 to 9, or infinite, got -1"),
        ({"a": {"": [10]}}, 9, "must be from 0 to 9, or infinite, got 10"),
        ({"a": {"": [np.nan]}}, 9, "must be from 0 to 9, or infinite, got nan"),
        ({"a": {"": [1]}}, 0, "limit must be positive, got 0"),
        ({"a": {str(i): [1] for i in range(11)}}, 9, "labels must be at most 10, got 11"),
    ],
)
def test_refuses(rows, limit, message):
    with pytest.raises(ValueError, match=message):
        dots(rows, limit=limit, xlabel="", beyond="")
