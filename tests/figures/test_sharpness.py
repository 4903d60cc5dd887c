from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import adam_sharpness, seeds

from .drawn import png, xs, ys


def test_both_eigenvalues_and_the_ceiling():
    steps, largest = np.array([0, 10, 5000]), np.array([0.1, 100.0, 1e-3])
    seen = np.array([np.nan, 3000.0, 37_000.0])
    loss = np.array([4.0, 2.0, 0.5])
    fig = adam_sharpness(steps, largest, seen, loss=loss, ceiling=38_000, transition=(10, 5000))
    above, middle, below = fig.axes
    np.testing.assert_array_equal(ys(middle.lines[0]), largest / loss)
    assert all(len(ax.patches) == 1 for ax in fig.axes)
    np.testing.assert_array_equal(ys(above.lines[0]), largest)
    assert set(ys(below.lines[0])) == {38_000}
    np.testing.assert_array_equal(xs(below.lines[1]), steps[1:])
    np.testing.assert_array_equal(ys(below.lines[1]), seen[1:])
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "log", "linear"]
    png(fig)


def test_one_checkpoint_before_the_first_update():
    png(adam_sharpness([0], [0.1], [np.nan], loss=[1.0], ceiling=38_000, step_scale="log"))


def test_sharpness_refuses():
    with pytest.raises(ValueError, match="ceiling must be positive, got 0"):
        adam_sharpness([0], [1.0], [1.0], loss=[1.0], ceiling=0)
    with pytest.raises(ValueError, match="largest must be finite, got nan"):
        adam_sharpness([0], [np.nan], [1.0], loss=[1.0], ceiling=1)
    with pytest.raises(ValueError, match=r"preconditioned must have shape \(1\), got \(2,\)"):
        adam_sharpness([0], [1.0], [1.0, 2.0], loss=[1.0], ceiling=1)
    with pytest.raises(ValueError, match="loss must be positive, got 0"):
        adam_sharpness([0], [1.0], [1.0], loss=[0.0], ceiling=1)


RUNS = {
    "ReLU": [([0, 100, 200], [0.0, 0.5, 1.0]), ([0, 100], [0.1, np.nan])],
    "attention": [([0, 150_000], [0.2, 0.3])],
}


@pytest.mark.parametrize(("quantity", "scale"), [("accuracy", "linear"), ("loss", "log")])
def test_runs_of_one_label_share_a_colour(quantity, scale):
    fig = seeds(RUNS, quantity=quantity)
    (ax,) = fig.axes
    drawn = [run for runs in RUNS.values() for run in runs]
    for line, (steps, values) in zip(ax.lines, drawn, strict=True):
        known = np.isfinite(values)
        np.testing.assert_array_equal(xs(line), np.array(steps)[known])
        np.testing.assert_array_equal(ys(line), np.array(values)[known])
    first, second, third = (line.get_color() for line in ax.lines)
    assert first == second != third
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(RUNS)
    assert (ax.get_yscale(), ax.get_ylabel()) == (scale, f"test {quantity}")
    png(fig)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "runs must have at least one entry"),
        ({"a": []}, r"runs\['a'\] must have at least one entry"),
        ({"a": [([0, 0], [1, 1])]}, r"steps of runs\['a'\]\[0\] must be integers"),
        ({"a": [([0], [1, 1])]}, r"values of runs\['a'\]\[0\] must have shape \(1\)"),
        ({str(i): [([0], [1])] for i in range(11)}, "runs must have at most 10 labels, got 11"),
    ],
)
def test_seeds_refuse(runs, message):
    with pytest.raises(ValueError, match=message):
        seeds(runs, quantity="loss")


def test_seeds_refuse_another_quantity():
    with pytest.raises(ValueError, match=r"quantity must be one of .* got 'norm'"):
        seeds(RUNS, quantity="norm")  # pyright: ignore[reportArgumentType]
