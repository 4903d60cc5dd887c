from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hdlib.figures import histogram, shares

from .drawn import bars, png, xs

PARTS = ["conv1", "linear"]


def ticks(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def test_bars_stack_to_the_shares():
    panels = {
        "k = 2": ([8, 2], [[0.25, 0.75], [1, 0]]),
        "k = 3": ([6.25, -3e-5, 1.0], [[0.5, 0.5], [0.1, 0.9], [0, 1]]),
    }
    fig = shares(panels, PARTS, xlabel="members")
    for ax, (title, (_, values)) in zip(fig.axes, panels.items(), strict=True):
        assert ax.get_title("left") == title
        drawn = np.array([bar.get_height() for bar in bars(ax)]).reshape(2, -1)
        np.testing.assert_allclose(drawn.T, values)
        bottoms = np.array([bar.get_y() for bar in bars(ax)]).reshape(2, -1)
        np.testing.assert_allclose(bottoms, [0 * drawn[0], drawn[0]])
    assert [ticks(ax) for ax in fig.axes] == [["8", "2"], ["6.25", "−3e−05", "1"]]
    assert fig.axes[-1].get_xlabel() == "members"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == PARTS
    png(fig)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_a_reference_stands_apart_on_the_left(k):
    values = np.random.default_rng(k).dirichlet(np.ones(2), k)
    fig = shares(
        {"": (np.arange(k, 0, -1.0), values)}, PARTS, xlabel="", reference=("all", [0.2, 0.8])
    )
    (ax,) = fig.axes
    *_, first, second = bars(ax)
    assert (first.get_height(), second.get_height()) == pytest.approx((0.2, 0.8))
    assert first.get_x() + first.get_width() < -1
    assert ticks(ax)[:2] == ["all", str(k)]
    png(fig)


def test_names_of_20_clusters_do_not_overlap():
    sizes = np.arange(20)[::-1] * 100 + 1000
    fig = shares({"": (sizes, np.full((20, 2), 0.5))}, PARTS, xlabel="")
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"panels": {}}, "panels must have at least one entry"),
        ({"parts": []}, "parts must be 1 to 10 names, got 0"),
        ({"panels": {"a": ([1], [[1, 0.5]])}}, r"panels\['a'\] must be ≥ 0 and sum to 1"),
        ({"panels": {"a": ([1], [[1, 0, 0]])}}, r"must have shape \(1, 2\), got \(1, 3\)"),
        ({"reference": ("all", [1.5, -0.5])}, "reference 'all' must be ≥ 0 and sum to 1"),
    ],
)
def test_shares_refuse(changed, message):
    given = {"panels": {"a": (["x"], [[0.5, 0.5]])}, "parts": PARTS, "xlabel": "", **changed}
    with pytest.raises(ValueError, match=message):
        shares(**given)


@pytest.mark.parametrize("values", [[3.0], [3.0] * 40, np.random.default_rng(0).gamma(9, 6, 200)])
def test_a_histogram_shows_every_value_and_the_marks(values):
    fig = histogram(values, marks={"all": 4.0, "quoted": 9.0}, xlabel="λ", ylabel="draws")
    (ax,) = fig.axes
    assert sum(bar.get_height() for bar in bars(ax)) == len(values)
    rug, first, second = ax.lines
    np.testing.assert_array_equal(xs(rug), values)
    assert (xs(first)[0], xs(second)[0]) == (4.0, 9.0)
    assert ax.get_ylabel() == f"draws (of {len(values)})"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["all: 4", "quoted: 9"]
    png(fig)


@pytest.mark.parametrize(
    ("values", "marks", "message"),
    [
        ([], {}, r"values must have shape \(any\), got \(0,\)"),
        ([1.0], {"all": np.nan}, r"marks\['all'\] must be finite, got nan"),
        ([1.0], dict.fromkeys("abc", 1.0), "marks must be at most 2, got 3"),
    ],
)
def test_histogram_refuses(values, marks, message):
    with pytest.raises(ValueError, match=message):
        histogram(values, marks=marks, xlabel="", ylabel="")
