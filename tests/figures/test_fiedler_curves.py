from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import agreement_curves, connectivity_curves

from .drawn import png, xs, ys

STEPS = [0, 10, 100, 1000]
INDEX = {"before": [np.nan, 0.2, 0.5, 0.9], "layers": [0.1, -0.05, 0.3, 0.4]}


def test_connectivities_and_the_null():
    values = {"network": [0.4, 0.5, np.nan, 0.6], "conv1": [0.2, 0.3, 0.4, 0.5]}
    fig = connectivity_curves(STEPS, values, null=[0.9, 0.8, 0.9, 0.8])
    network, layer, null = fig.axes[0].lines
    assert xs(network).tolist() == [0, 10, 1000]
    assert ys(network).tolist() == [0.4, 0.5, 0.6]
    assert ys(layer).tolist() == values["conv1"]
    assert (layer.get_linestyle(), null.get_linestyle()) == ("-", "--")
    assert ys(null).tolist() == [0.9, 0.8, 0.9, 0.8]
    png(fig)


def test_agreements_and_their_nulls():
    fig = agreement_curves(STEPS, INDEX, nulls={"layers": [0.0, 0.0, -0.1, 0.0]})
    (ax,) = fig.axes
    before, layers, null = ax.lines
    assert xs(before).tolist() == [10, 100, 1000]
    assert ys(layers).tolist() == INDEX["layers"]
    assert ys(null).tolist() == [0, 0, -0.1, 0]
    assert null.get_color() == layers.get_color() != before.get_color()
    assert null.get_linestyle() == "--"
    assert ax.get_ylim()[0] < -0.1
    assert ax.get_ylim()[1] > 1
    shown = [text.get_text() for text in fig.legends[0].get_texts()]
    assert shown == ["before", "layers", "null"]
    png(fig)


@pytest.mark.parametrize("draw", [agreement_curves, connectivity_curves])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "values must have at least one entry"),
        ({str(i): [0] * 4 for i in range(11)}, "values must have at most 10 labels, got 11"),
        ({"a": [1, 2]}, r"values\['a'\] must have shape \(4\), got \(2,\)"),
        ({"a": [0, 0, np.inf, 0]}, r"values\['a'\] must be finite, got inf"),
    ],
)
def test_refuses(draw, values, message):
    with pytest.raises(ValueError, match=message):
        draw(STEPS, values)


def test_agreement_refuses():
    with pytest.raises(ValueError, match=r"values\['a'\] must be at most 1, got 1.5"):
        agreement_curves(STEPS, {"a": [0, 0, 1.5, 0]})
    with pytest.raises(ValueError, match=r"nulls must be of curves drawn.*got \['b'\]"):
        agreement_curves(STEPS, INDEX, nulls={"b": [0] * 4})
