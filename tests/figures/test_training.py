from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.scale import SymmetricalLogTransform

from hdlib.figures import training_summary

from .drawn import png, xs, ys

STEP = np.arange(0, 1000, 10)
HISTORY = {
    "step": STEP,
    "train_loss": np.exp(-STEP / 100),
    "test_loss": np.exp(-STEP / 200),
    "train_accuracy": STEP / 1000,
    "test_accuracy": np.where(STEP % 50 == 0, STEP / 1000, np.nan),
    "learning_rate": STEP * 0.0,
}
NAMES = ("trace", "spectral_entropy", "largest_eigenvalue", "n_negative")
MEASURES = {"step": np.arange(3) * 400} | {
    name: np.arange(3) + 1.0 + i for i, name in enumerate(NAMES)
}


def test_panels_hold_history_and_measures():
    loss, trace, largest, accuracy, entropy, negative = training_summary(HISTORY, MEASURES).axes
    np.testing.assert_array_equal(ys(loss.lines[0]), HISTORY["train_loss"])
    np.testing.assert_array_equal(ys(loss.lines[1]), HISTORY["test_loss"])
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    measured = np.isfinite(HISTORY["test_accuracy"])
    np.testing.assert_array_equal(xs(accuracy.lines[1]), STEP[measured])
    for ax, name in zip((trace, entropy, largest, negative), NAMES, strict=True):
        np.testing.assert_array_equal(ys(ax.lines[0]), MEASURES[name])
        assert ax.get_yscale() == "linear"


def test_estimates_and_both_ends():
    ends = {
        "largest_eigenvalue": np.array([100.0, 1e-2, 1e-5]),
        "smallest_eigenvalue": np.array([-0.1, -1e-4, -1e-7]),
    }
    errors = {"trace": np.array([0.5, 0.0, 0.25]), "n_negative": np.ones(3)}
    fig = training_summary(HISTORY, MEASURES | ends, errors=errors, both_ends=True, xscale="linear")
    _, trace, both, _, entropy, negative = fig.axes
    for ax, key in ((trace, "trace"), (negative, "n_negative")):
        (bars,) = ax.collections
        assert isinstance(bars, LineCollection)
        spread = np.outer(errors[key], [-1, 1])
        drawn = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(drawn, MEASURES[key][:, None] + spread)
    assert not entropy.collections
    np.testing.assert_array_equal([ys(line) for line in both.lines], list(ends.values()))
    transform = both.yaxis.get_transform()
    assert isinstance(transform, SymmetricalLogTransform)
    assert transform.linthresh == pytest.approx(1e-7)
    assert {ax.get_xscale() for ax in fig.axes} == {"linear"}
    fig.canvas.draw()
    boxes = [label.get_window_extent() for label in both.get_yticklabels()]
    assert all(a.y1 < b.y0 for a, b in pairwise(boxes))


def test_values_of_zero_and_many_sizes():
    zeros = dict.fromkeys(("largest_eigenvalue", "smallest_eigenvalue"), np.zeros(3))
    counts = {"n_negative": np.array([1.0, 1e2, 5e4])}
    fig = training_summary(HISTORY, MEASURES | zeros | counts, both_ends=True)
    png(fig)
    assert {1, 10, 100, 1_000, 10_000} <= set(fig.axes[5].get_yticks().round().tolist())


def test_refuses():
    with pytest.raises(ValueError, match=r"history must have the keys .* missing \['step'\]"):
        training_summary({k: v for k, v in HISTORY.items() if k != "step"}, MEASURES)
    with pytest.raises(ValueError, match=r"measures must have .* missing \['smallest_eigenvalue'"):
        training_summary(HISTORY, MEASURES, both_ends=True)
    with pytest.raises(ValueError, match=r"errors must be of measures drawn, .* got \['n_small'\]"):
        training_summary(HISTORY, MEASURES, errors={"n_small": [1, 1, 1]})
    with pytest.raises(ValueError, match=r"'trace of H'.* must have shape \(3\), got \(1,\)"):
        training_summary(HISTORY, MEASURES | {"trace": [1.0]})
