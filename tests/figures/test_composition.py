from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hdlib.figures import cluster_composition

from .drawn import bars, png

NAMES = ["conv1", "linear"]


def test_bars_hold_the_shares():
    shares = {"k = 2": [[0.25, 0.75], [1, 0]], "k = 3": [[0.5, 0.5], [0.1, 0.9], [0, 1]]}
    sizes = {"k = 2": [8, 2], "k = 3": [6, 3, 1]}
    fig = cluster_composition(shares, sizes, NAMES)
    for ax, (label, values) in zip(fig.axes, shares.items(), strict=True):
        drawn = np.array([bar.get_height() for bar in bars(ax)]).reshape(2, -1)
        np.testing.assert_allclose(drawn.T, values)
        bottoms = np.array([bar.get_y() for bar in bars(ax)]).reshape(2, -1)
        np.testing.assert_allclose(bottoms[1], drawn[0])
        assert [text.get_text() for text in ax.get_xticklabels()] == list(map(str, sizes[label]))
    assert [text.get_text() for text in fig.legends[0].get_texts()] == NAMES
    png(fig)


def test_sizes_of_20_clusters_do_not_overlap():
    sizes = np.arange(20)[::-1] * 100 + 1000
    fig = cluster_composition({"": np.full((20, 2), 0.5)}, {"": sizes}, NAMES)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    ("shares", "sizes", "message"),
    [
        ({}, {}, "shares must have at least one entry"),
        ({"a": [[1, 0]]}, {}, r"sizes must have the keys \('a',\), missing \['a'\]"),
        ({"a": [[1, 0.5]]}, {"a": [1]}, "must be ≥ 0 and sum to 1"),
        ({"a": [[1, 0, 0]]}, {"a": [1]}, r"must have shape \(any, 2\), got \(1, 3\)"),
        ({"a": [[1, 0]]}, {"a": [1, 2]}, r"sizes\['a'\] must have shape \(1\), got \(2,\)"),
        ({"a": [[1, 0]]}, {"a": [0]}, r"sizes\['a'\] must be positive integers"),
    ],
)
def test_refuses(shares, sizes, message):
    with pytest.raises(ValueError, match=message):
        cluster_composition(shares, sizes, NAMES)
