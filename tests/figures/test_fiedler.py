from __future__ import annotations

import pytest

from hdlib.experiments.fiedler.figures import mixtures

from .drawn import png, xs, ys

CURVES = {"mixed": ([0.01, 0.1, 1], [0.0, 0.2, 0.9]), "own": ([0.02, 0.7], [0.1, 0.8])}


def test_each_panel_has_each_curve():
    other = {label: (ratios, [-0.01] * len(ratios)) for label, (ratios, _) in CURVES.items()}
    fig = mixtures({"units": CURVES, "classes": other}, unconnected=["own"])
    units, classes = fig.axes
    assert (units.get_title("left"), classes.get_title("left")) == ("units", "classes")
    mixed, own = units.lines
    assert (xs(mixed).tolist(), ys(mixed).tolist()) == ([0.01, 0.1, 1], [0.0, 0.2, 0.9])
    assert ys(own).tolist() == [0.1, 0.8]
    assert classes.lines[0].get_color() == mixed.get_color() != own.get_color()
    assert (mixed.get_linestyle(), own.get_linestyle()) == ("-", "None")
    assert units.get_xscale() == "log"
    png(fig)


def test_refuses():
    with pytest.raises(ValueError, match="panels must have at least one entry"):
        mixtures({}, unconnected=[])
    with pytest.raises(ValueError, match="x must be positive on a logarithmic axis, got 0"):
        mixtures({"a": {"x": ([0, 1], [0, 0])}}, unconnected=[])
