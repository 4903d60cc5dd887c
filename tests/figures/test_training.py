from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.scale import SymmetricalLogTransform

from hdlib.figures import filters, layer_composition, summary_panel

from .drawn import png, xs, ys


def history():
    step = np.arange(0, 1000, 10)
    test_accuracy = np.where(step % 50 == 0, step / 1000, np.nan)
    return {
        "step": step,
        "train_loss": np.exp(-step / 100),
        "test_loss": np.exp(-step / 200),
        "train_accuracy": step / 1000,
        "test_accuracy": test_accuracy,
        "learning_rate": step * 0.0,
    }


def measures(count=3):
    names = ("trace", "spectral_entropy", "largest_eigenvalue", "n_negative")
    values = {name: np.arange(count) + 1.0 + i for i, name in enumerate(names)}
    return {"step": np.arange(count) * 400, **values}


def test_panels_hold_history_and_measures():
    axes = summary_panel(history(), measures()).axes
    loss, trace, largest, accuracy, entropy, negative = axes
    np.testing.assert_array_equal(ys(loss.lines[0]), history()["train_loss"])
    np.testing.assert_array_equal(ys(loss.lines[1]), history()["test_loss"])
    assert loss.get_yscale() == "log"
    measured = np.isfinite(history()["test_accuracy"])
    np.testing.assert_array_equal(xs(accuracy.lines[1]), history()["step"][measured])
    for ax, name in (
        (trace, "trace"),
        (entropy, "spectral_entropy"),
        (largest, "largest_eigenvalue"),
        (negative, "n_negative"),
    ):
        np.testing.assert_array_equal(ys(ax.lines[0]), measures()[name])
        assert ax.get_yscale() == "linear"


def test_one_checkpoint_and_losses_of_zero():
    run = history() | {"train_loss": np.zeros(100), "test_loss": np.full(100, np.nan)}
    fig = summary_panel(run, measures(1))
    assert fig.axes[0].get_yscale() == "linear"
    png(fig)


def test_panel_of_estimates_and_both_ends():
    values = measures() | {
        "largest_eigenvalue": np.array([100.0, 1e-2, 1e-5]),
        "smallest_eigenvalue": np.array([-0.1, -1e-4, -1e-7]),
    }
    errors = {"trace": np.array([0.5, 0.0, 0.25]), "n_negative": np.ones(3)}
    fig = summary_panel(history(), values, errors=errors, both_ends=True, step_scale="linear")
    _, trace, ends, _, entropy, negative = fig.axes
    for ax, key in ((trace, "trace"), (negative, "n_negative")):
        (bars,) = ax.collections
        assert isinstance(bars, LineCollection)
        drawn = [segment[:, 1] for segment in bars.get_segments()]
        spread = np.outer(errors[key], [-1, 1])
        np.testing.assert_allclose(drawn, values[key][:, None] + spread)
    assert not entropy.collections
    for line, key in zip(ends.lines, ("largest_eigenvalue", "smallest_eigenvalue"), strict=True):
        np.testing.assert_array_equal(ys(line), values[key])
    assert ends.get_yscale() == "symlog"
    transform = ends.yaxis.get_transform()
    assert isinstance(transform, SymmetricalLogTransform)
    assert transform.linthresh == pytest.approx(1e-7)
    assert {ax.get_xscale() for ax in fig.axes} == {"linear"}
    fig.canvas.draw()
    boxes = [label.get_window_extent() for label in ends.get_yticklabels()]
    assert all(a.y1 < b.y0 for a, b in pairwise(boxes))
    png(fig)


def test_both_ends_of_zeros():
    zeros = {"largest_eigenvalue": np.zeros(3), "smallest_eigenvalue": np.zeros(3)}
    png(summary_panel(history(), measures() | zeros, both_ends=True))


def test_counts_of_many_sizes_have_a_label_for_each_decade():
    counts = {"n_negative": np.array([1.0, 1e2, 5e4])}
    fig = summary_panel(history(), measures() | counts, step_scale="linear")
    ax = next(ax for ax in fig.axes if ax.get_title(loc="left") == "eigenvalues λ < 0")
    assert {1, 10, 100, 1_000, 10_000} <= set(ax.get_yticks().round().tolist())


def test_panel_refuses():
    run = history()
    with pytest.raises(ValueError, match=r"history must have the keys .* missing \['step'\]"):
        summary_panel({key: run[key] for key in run if key != "step"}, measures())
    with pytest.raises(ValueError, match=r"measures must have .* missing \['smallest_eigenvalue'"):
        summary_panel(run, measures(), both_ends=True)
    with pytest.raises(ValueError, match=r"errors must be of measures drawn, .* got \['n_small'\]"):
        summary_panel(run, measures(), errors={"n_small": [1, 1, 1]})
    with pytest.raises(ValueError, match=r"errors\['trace'\] must not be negative, got -1"):
        summary_panel(run, measures(), errors={"trace": [1, 1, -1]})
    with pytest.raises(ValueError, match=r"measures\['trace'\] must have shape \(3\)"):
        summary_panel(run, measures() | {"trace": [1.0]})
    with pytest.raises(ValueError, match=r"history\['train_loss'\] must be finite, got inf"):
        summary_panel(run | {"train_loss": np.full(100, np.inf)}, measures())


def test_filters_share_a_symmetric_scale():
    rng = np.random.default_rng(0)
    weights = {
        "step 0": rng.standard_normal((6, 1, 5, 5)),
        "step 9": rng.normal(0, 3, (6, 1, 5, 5)),
    }
    fig = filters(weights)
    images = [ax.images[0] for ax in fig.axes[:12]]
    drawn = np.array([np.asarray(image.get_array()) for image in images])
    np.testing.assert_array_equal(drawn, np.concatenate([*weights.values()])[:, 0])
    limit = np.abs(drawn).max()
    assert {image.get_clim() for image in images} == {(-limit, limit)}
    assert [ax.get_ylabel() for ax in fig.axes[:12:6]] == list(weights)


def test_filters_of_zeros_and_one_filter():
    png(filters({"step 0": np.zeros((1, 1, 3, 3))}))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "weights must have at least one entry"),
        ({"a": np.ones((2, 3, 5, 5))}, r"must have shape \(2, 1, 5, 5\), got \(2, 3, 5, 5\)"),
        ({"a": np.ones(3)}, r"must have shape \(any, 1, any, any\), got \(3,\)"),
        ({"a": np.ones((2, 1, 5, 5)), "b": np.ones((3, 1, 5, 5))}, r"weights\['b'\] must have"),
    ],
)
def test_filters_refuse(weights, message):
    with pytest.raises(ValueError, match=message):
        filters(weights)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_bars_stack_to_the_composition(k):
    composition = np.random.default_rng(k).dirichlet(np.ones(3), k)
    share = [0.2, 0.3, 0.5]
    fig = layer_composition(
        {"step 0": (np.arange(k, 0, -1), composition)}, ["a", "b", "c"], parameter_share=share
    )
    heights = [[bar.get_height() for bar in stack] for stack in fig.axes[0].containers]
    np.testing.assert_allclose(np.array(heights[:3]).T, composition)
    np.testing.assert_allclose(np.ravel(heights[3:]), share)
    labels = [label.get_text() for label in fig.axes[0].get_xticklabels()]
    assert labels[:2] == ["parameters", str(k)]
    png(fig)


def test_composition_refuses():
    good = {"a": ([1.0], [[0.4, 0.6]])}
    with pytest.raises(ValueError, match="layers must be 1 to 10 names, got 0"):
        layer_composition(good, [], parameter_share=[])
    with pytest.raises(ValueError, match=r"composition of 'a' must be ≥ 0 and sum to 1"):
        layer_composition({"a": ([1.0], [[0.4, 0.4]])}, ["x", "y"], parameter_share=[0.5, 0.5])
    with pytest.raises(ValueError, match="parameter_share must be ≥ 0"):
        layer_composition(good, ["x", "y"], parameter_share=[1.5, -0.5])
    with pytest.raises(ValueError, match=r"composition of 'a' must have shape \(2, 2\)"):
        layer_composition({"a": ([1, 2], [[0.4, 0.6]])}, ["x", "y"], parameter_share=[0.5, 0.5])
