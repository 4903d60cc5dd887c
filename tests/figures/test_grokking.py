from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from hdlib.experiments.grokking.figures import (
    adam_sharpness,
    dose_series,
    frequency_shares,
    leading_eigenvalues,
    leading_frequencies,
    levels,
    training_phases,
)
from hdlib.measures import Phases

from .drawn import extents, png, xs, ys

STEP = np.arange(0, 17_001, 100)
HISTORY = {
    "step": STEP,
    "train_loss": np.exp(-STEP / 900),
    "test_loss": 20 * np.exp(-STEP / 4000),
    "train_accuracy": STEP / 17_000,
    "test_accuracy": np.where(STEP % 200 == 0, STEP / 17_000, np.nan),
}
PROGRESS = {"step": [0, 500], "restricted_loss": [4.7, 4.0], "excluded_loss": [4.7, 0.1]}
PAIRS = {"step": [0, 6_000], "mirrored_accuracy": [0.0, 0.2], "other_accuracy": [0.0, 0.02]}


@pytest.mark.parametrize(
    ("phases", "shaded"),
    [
        (
            Phases(1800, 9400, 14_000),
            {
                "memorisation": (0, 1800),
                "circuit formation": (1800, 9400),
                "clean-up": (9400, 14_000),
            },
        ),
        ((None, None, None), {"memorisation": (0, 17_000)}),
        ((1800, None, None), {"memorisation": (0, 1800), "circuit formation": (1800, 17_000)}),
    ],
)
def test_curves_and_phases_are_those_given(phases, shaded):
    fig = training_phases(HISTORY, phases, progress=PROGRESS, pairs=PAIRS)
    loss, accuracy = fig.axes
    assert extents(loss) == extents(accuracy) == shaded
    for ax, extra, keys in (
        (loss, PROGRESS, ("train_loss", "test_loss", "restricted_loss", "excluded_loss")),
        (accuracy, PAIRS, ("train_accuracy", "test_accuracy", *list(PAIRS)[1:])),
    ):
        for line, key in zip(ax.lines, keys, strict=True):
            table = extra if key in extra else HISTORY
            known = np.isfinite(table[key])
            np.testing.assert_array_equal(xs(line), np.array(table["step"])[known])
            np.testing.assert_array_equal(ys(line), np.array(table[key])[known])
    assert (loss.get_yscale(), loss.get_xscale()) == ("log", "linear")
    png(fig)


@pytest.mark.parametrize("phases", [(900, 500, None), (900, None, 14_000)])
def test_phases_out_of_order(phases):
    with pytest.raises(ValueError, match="phases must be in ascending order"):
        training_phases(HISTORY, phases, progress=PROGRESS, pairs=PAIRS)


def test_frequencies_that_ever_have_a_share_are_in_colour():
    shares = np.array([[0.0, 0.01, 0.0], [0.3, 0, 0], [0, 0.04, 0.6]])
    fig = frequency_shares([0, 10, 20], shares, transition=(10, 20))
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert names == ["k = 1", "k = 3", "transition"]
    for line, k in zip(fig.axes[0].lines, (1, 0, 2), strict=True):
        np.testing.assert_array_equal(ys(line), shares[:, k])
    none = frequency_shares([0, 10, 20], shares / 100, transition=None)
    assert not none.legends
    assert len(none.axes[0].lines) == 3


def test_both_eigenvalues_and_the_ceiling():
    steps, largest = np.array([0, 10, 5000]), np.array([0.1, 100.0, 1e-3])
    seen, loss = np.array([np.nan, 3000.0, 37_000.0]), np.array([4.0, 2.0, 0.5])
    fig = adam_sharpness(steps, largest, seen, loss=loss, ceiling=38_000, transition=(10, 5000))
    above, middle, below = fig.axes
    np.testing.assert_array_equal(ys(above.lines[0]), largest)
    np.testing.assert_array_equal(ys(middle.lines[0]), largest / loss)
    np.testing.assert_array_equal(xs(below.lines[0]), steps[1:])
    np.testing.assert_array_equal(ys(below.lines[0]), seen[1:])
    assert set(ys(below.lines[1])) == {38_000}
    assert all(extents(ax)["transition"] == (10, 5000) for ax in fig.axes)
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "log", "linear"]


def test_every_eigenvalue_over_the_largest_in_a_panel_for_each_run():
    steps = np.array([0, 100, 200])
    values = np.array([[8.0, 4.0, 2.0, 1.0], [1.0, 0.9, 0.1, 0.05], [3.0, 1.0, 1.0, 0.5]])
    fig = leading_eigenvalues(
        {"one": (steps, values, 1, None), "two": (steps, values, 2, (100, 200))}
    )
    for ax, heads in zip(fig.axes, (1, 2), strict=False):
        grey, coloured = np.split(np.array(ax.lines), [4 - heads])
        ratios = (values / values[:, :1]).T
        np.testing.assert_allclose([ys(line) for line in [*coloured, *grey]], ratios)
        assert len({line.get_color() for line in grey}) == 1
        assert coloured[0].get_color() != grey[0].get_color()
    assert extents(fig.axes[1]) == {"transition": (100, 200)}
    png(fig)


def test_each_cell_names_the_strongest_frequency_and_its_share():
    energy = np.array([[0.1, 0.7, 0.2], [0.4, 0.3, 0.3]])
    fig = leading_frequencies({"0": energy, "100": energy[::-1]}, column_label="step")
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.texts] == ["2\n70%", "1\n40%", "1\n40%", "2\n70%"]
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), [[0.7, 0.4], [0.4, 0.7]])
    with pytest.raises(ValueError, match="energies must have at least one entry"):
        leading_frequencies({}, column_label="step")


def test_levels_are_coloured_by_frequency_and_named_once_for_neighbours_that_share_it():
    eigenvalues, frequencies = [4.0, 3.9, 2.0, 1.0, 0.9], [7, 7, 0, 3, 7]
    fig = levels({"one": (eigenvalues, frequencies), "two": (eigenvalues[:2], [0, 0])})
    (ax,) = fig.axes
    drawn = [
        (float(line.get_segments()[0][0, 1]), tuple(np.ravel(line.get_color())))
        for line in ax.collections
        if isinstance(line, LineCollection)
    ]
    heights, colours = zip(*drawn, strict=True)
    np.testing.assert_allclose(heights, np.r_[eigenvalues, eigenvalues[:2]] / np.float64(4))
    of_7, also_7, none, of_3, again_7, *others = colours
    assert of_7 == also_7 == again_7
    assert len({of_7, none, of_3}) == 3
    assert set(others) == {none}
    assert [text.get_text() for text in ax.texts] == ["7", "3", "7"]
    with pytest.raises(ValueError, match=r"two: eigenvalues \(3,\), 2 frequencies"):
        levels({"two": ([1.0, 0.5, 0.1], [1, 2])})
    png(fig)


def test_doses_show_concentration_and_how_far_changes_are_quadratic():
    doses = np.array([0.001, 0.01])
    along = np.array([[[3.0, 1.0]], [[200.0, 200.0]]])  # (doses, one eigenvector, frequencies)
    random = np.full((2, 4, 2), 0.5)
    fig = dose_series(doses, {"end": (along, random)})
    above, below = fig.axes
    np.testing.assert_array_equal(xs(above.lines[0]), doses)
    np.testing.assert_allclose(ys(above.lines[0]), [0.75, 0.5])
    np.testing.assert_allclose(ys(below.lines[0]), [1.0, 1.0])
    assert [label.get_text() for label in below.get_xticklabels()] == ["0.1", "1"]
    png(fig)
    with pytest.raises(ValueError, match=r"random changes of panels\['end'\] must have shape"):
        dose_series(doses, {"end": (along, random[:1])})
