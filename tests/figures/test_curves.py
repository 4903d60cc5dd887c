from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.text import Annotation

from hdlib.figures import Curve, Panel, curves
from hdlib.figures.style import BLUE, MUTED, ORANGE, PALE_YELLOW, VERMILLION

from .drawn import extents, png, xs, ys

STEPS = [0, 10, 100, 1000]
VALUES = {"before": [np.nan, 0.2, 0.5, 0.9], "layers": [0.1, -0.05, 0.3, 0.4]}


def shown(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_curves_go_on_where_values_are_missing():
    fig = curves(Panel(VALUES, x=STEPS, ylabel="index"))
    (ax,) = fig.axes
    before, layers = ax.lines
    assert xs(before).tolist() == STEPS[1:]
    assert ys(before).tolist() == VALUES["before"][1:]
    assert ys(layers).tolist() == VALUES["layers"]
    assert (before.get_color(), layers.get_color()) == (BLUE, ORANGE)
    assert before.get_marker() == "."
    assert ax.get_ylabel() == "index"
    assert shown(fig) == list(VALUES)
    png(fig)


def test_nulls_have_the_colour_of_their_curve_or_are_grey():
    nulls = {"layers": [0.0, 0.0, -0.1, 0.0], "permuted": [0.9, 0.8, 0.9, 0.8], "chance": 0.25}
    fig = curves(Panel(VALUES, x=STEPS, nulls=nulls, limits={"ceiling": 2.0}))
    own, permuted, chance, limit = fig.axes[0].lines[2:]
    assert ys(own).tolist() == nulls["layers"]
    assert ys(permuted).tolist() == nulls["permuted"]
    assert (set(ys(chance)), set(ys(limit))) == ({0.25}, {2.0})
    drawn = [line.get_color() for line in (own, permuted, chance, limit)]
    assert drawn == [ORANGE, MUTED, MUTED, VERMILLION]
    assert {line.get_linestyle() for line in (own, permuted, chance, limit)} == {"--"}
    assert shown(fig) == [*VALUES, "permuted", "chance", "ceiling", "null"]


@pytest.mark.parametrize(
    "several",
    [
        np.column_stack([VALUES["layers"], STEPS]),
        [Curve(STEPS, VALUES["layers"]), Curve(STEPS, STEPS)],
    ],
)
def test_several_curves_of_one_label_share_a_colour_and_an_entry(several):
    fig = curves(Panel({"seeds": several, "other": STEPS}, x=STEPS))
    first, second, other = fig.axes[0].lines
    assert (ys(first).tolist(), ys(second).tolist()) == (VALUES["layers"], STEPS)
    assert first.get_color() == second.get_color() != other.get_color()
    assert shown(fig) == ["seeds", "other"]


def test_a_curve_may_have_steps_errors_and_a_colour_of_its_own():
    curve = Curve([5, 50], [1.0, 2.0], errors=[0.5, 0.0], colour=VERMILLION)
    (ax,) = curves(Panel({"": STEPS, "seen": curve}, x=STEPS)).axes
    assert xs(ax.lines[1]).tolist() == [5, 50]
    assert ax.lines[1].get_color() == VERMILLION
    (bars,) = ax.collections
    assert isinstance(bars, LineCollection)
    np.testing.assert_array_equal(
        [segment[:, 1] for segment in bars.get_segments()], [[0.5, 1.5], [2, 2]]
    )


def test_what_lies_behind_beside_and_between():
    panel = Panel(
        {"": [1, 2, 3, 4]},
        x=STEPS,
        background={"others": np.ones((4, 2))},
        points={"own": Curve([10], [2.5])},
        band={"usual": ([0, 0, 0, 0], [1, 1, 2, 1])},
        marks=[(10.0, 2.0, "rank 9")],
        shaded={"transition": (10, 100)},
    )
    (ax,) = curves(panel).axes
    first, second, curve, own = ax.lines
    assert {first.get_color(), second.get_color()} == {MUTED}
    assert ys(curve).tolist() == [1, 2, 3, 4]
    assert (own.get_linestyle(), ys(own).tolist()) == ("None", [2.5])
    corners = np.asarray(ax.collections[0].get_paths()[0].vertices)
    assert {0, 1, 2} == set(corners[:, 1].tolist())
    (mark,) = ax.texts
    assert isinstance(mark, Annotation)
    assert (mark.get_text(), mark.xy) == ("rank 9", (10, 2))
    assert extents(ax) == {"transition": (10, 100)}
    assert to_hex(ax.patches[0].get_facecolor()).upper() == PALE_YELLOW


def test_labels_keep_their_colours_from_panel_to_panel():
    panels = {
        "loss": Panel({"train": STEPS, "test": STEPS}, x=STEPS),
        "accuracy": Panel({"test": STEPS}, x=STEPS, points={"early": Curve([0], [1])}),
    }
    fig = curves(panels)
    above, below = fig.axes
    assert above.get_title("left") == "loss"
    assert below.lines[0].get_color() == above.lines[1].get_color() == ORANGE
    assert shown(fig) == ["train", "test", "early"]
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "step")
    png(fig)


@pytest.mark.parametrize(("count", "used"), [(1, [1, 1, 0]), (5, [1] * 5 + [0]), (6, [1] * 6)])
def test_panels_fill_rows_and_the_last_in_a_column_tells_x(count, used):
    panels = {str(i): Panel({"a": STEPS}, x=STEPS) for i in range(max(count, 2))}
    fig = curves(panels, columns=3)
    assert [ax.get_visible() for ax in fig.axes] == used
    told = [bool(ax.get_xlabel()) for ax in fig.axes if ax.get_visible()]
    assert told == [i + 3 >= len(panels) for i in range(len(panels))]
    png(fig)


def test_any_x_and_stages():
    eps = np.geomspace(1e-6, 10, 12)
    counts = {f"step {i}": np.arange(12, 0, -1) + i for i in range(12)}
    fig = curves(Panel(counts, x=eps, yscale="log"), xlabel="resolution ε", stages=True)
    (ax,) = fig.axes
    np.testing.assert_array_equal([ys(line) for line in ax.lines], list(counts.values()))
    assert len({line.get_color() for line in ax.lines}) == 12
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("log", "log", "resolution ε")
    png(fig)


@pytest.mark.parametrize(
    ("values", "scale"), [([1, 2], "linear"), ([1, 31], "log"), ([0, 9], "linear")]
)
def test_wide_values_have_a_logarithmic_axis(values, scale):
    (ax,) = curves(Panel({"": values}, x=[0, 1], yscale="wide")).axes
    assert ax.get_yscale() == scale


def test_axis_covers_what_it_must_and_all_values():
    low, high = curves(Panel({"": [0.4, -2]}, x=[0, 1], covers=(0, 1))).axes[0].get_ylim()
    assert low < -2 < 1 < high < 1.3


def test_points_and_ticks_only_where_they_are_few():
    few, many = np.arange(0, 990, 10), np.arange(101) * 10
    (ax,) = curves(Panel({"few": Curve(few, few), "many": Curve(many, many)}), xscale="linear").axes
    assert [line.get_marker() for line in ax.lines] == [".", ""]
    assert set(few) | {1000} >= set(ax.xaxis.get_minorticklocs())


def test_one_step_and_losses_of_zero():
    png(curves(Panel({"train": [0.0], "test": [np.nan]}, x=[7], yscale="log")))


def test_a_long_legend_stays_within_the_figure():
    fig = curves(Panel({f"a rather long label {i}": STEPS for i in range(9)}, x=STEPS))
    fig.canvas.draw()
    box = fig.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= fig.bbox.width


@pytest.mark.parametrize(
    ("panel", "options", "message"),
    [
        (Panel({}), {}, "curves must have at least one entry"),
        (Panel({str(i): [0] for i in range(11)}, x=[0]), {}, "at most 10 labels, got 11"),
        (Panel({"a": [1, 2]}, x=[0]), {}, r"curves\['a'\] must have shape \(1\), got \(2,\)"),
        (Panel({"a": [np.inf]}, x=[0]), {}, r"curves\['a'\] must be finite, got inf"),
        (Panel({"a": [1]}), {}, r"x of curves\['a'\] must be given where curves are arrays"),
        (Panel({"a": [0, 1]}, x=[1, 0]), {}, "must be integers ≥ 0, strictly increasing"),
        (Panel({"a": Curve([0], [1], [-1])}), {}, r"errors of .*\['a'\] must not be negative"),
        (Panel({"a": [0]}, x=[0], yscale="sqrt"), {}, "yscale must be 'linear', .* got 'sqrt'"),  # pyright: ignore[reportArgumentType]
        (Panel({"a": [0]}, x=[0], shaded={"t": (9, 4)}), {}, "t must go from .* got 9 to 4"),
        (Panel({"a": [0]}, x=[0], shaded=dict.fromkeys("abcd", (0, 1))), {}, "at most 3 intervals"),
        (Panel({"a": [0]}, x=[0], nulls={"b": [1, 2]}), {}, r"nulls\['b'\] must have shape \(1\)"),
        (Panel({"a": [0]}, x=[0]), {"xscale": "sqrt"}, "steps must be 'log' or 'linear'"),
        (Panel({"a": [0]}, x=[1]), {"xlabel": "N", "xscale": "sqrt"}, "x must be 'log' or 'linear"),
        (Panel({"a": [0]}, x=[0]), {"xlabel": "N"}, "x must be positive on a logarithmic axis"),
        (Panel({"a": [0]}, x=[0]), {"columns": 0}, "columns must be positive, got 0"),
        ({}, {}, "panels must have at least one entry"),
        ({"p": Panel({"a": [1, 2]}, x=[0])}, {}, r"panels\['p'\].curves\['a'\] must have shape"),
    ],
)
def test_refuses(panel, options, message):
    with pytest.raises(ValueError, match=message):
        curves(panel, **options)
