from __future__ import annotations

import pytest

from hdlib.figures import mixture_curves

from .drawn import png, xs, ys

CURVES = {"mixed": ([0.01, 0.1, 1], [0.0, 0.2, 0.9]), "own": ([0.02, 0.7], [0.1, 0.8])}


def test_each_panel_has_each_curve():
    other = {label: (ratios, [-0.01] * len(ratios)) for label, (ratios, _) in CURVES.items()}
    fig = mixture_curves({"units": CURVES, "classes": other}, xlabel="ratio", unconnected=["own"])
    units, classes = fig.axes
    assert (units.get_title("left"), classes.get_title("left")) == ("units", "classes")
    mixed, own = units.lines
    assert xs(mixed).tolist() == [0.01, 0.1, 1]
    assert ys(own).tolist() == [0.1, 0.8]
    assert classes.lines[0].get_color() == mixed.get_color() != own.get_color()
    assert (mixed.get_linestyle(), own.get_linestyle()) == ("-", "None")
    assert units.get_xscale() == "log"
    assert ys(classes.lines[1]).min() > classes.get_ylim()[0]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["mixed", "own"]
    png(fig)


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels must have at least one entry"),
        ({"a": {}}, "1 to 10 curves are needed, got 0"),
        ({"a": CURVES, "b": {}}, r"panels\['b'\] must have the keys"),
        ({"a": {"x": ([0, 1], [0, 0])}}, r"panels\['a'\]\['x'\] must have positive ratios"),
        ({"a": {"x": ([1, 2], [0, 1.5])}}, "an index of at most 1"),
        ({"a": {"x": ([1, 2], [0])}}, r"panels\['a'\]\['x'\]\[1\] must have shape \(2\)"),
    ],
)
def test_refuses(panels, message):
    with pytest.raises(ValueError, match=message):
        mixture_curves(panels, xlabel="ratio")
