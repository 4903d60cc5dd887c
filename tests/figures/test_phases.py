from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import training_phases
from hdlib.measures import Phases

from .drawn import png, xs, ys


def history(last=17_000):
    step = np.arange(0, last + 1, 100)
    accuracy = np.where(step % 200 == 0, step / last, np.nan)
    curves = {"train_loss": np.exp(-step / 900), "test_loss": 20 * np.exp(-step / 4000)}
    return {"step": step, **curves, "train_accuracy": step / last, "test_accuracy": accuracy}


def bands(ax):
    extents = [part.get_path().get_extents(part.get_patch_transform()) for part in ax.patches]
    labels = [part.get_label() for part in ax.patches]
    return {label: (box.x0, box.x1) for label, box in zip(labels, extents, strict=True)}


def test_curves_and_phases_are_those_given():
    progress = {
        "step": np.array([0, 500, 17_000]),
        "restricted_loss": np.array([4.7, 4.0, 1e-6]),
        "excluded_loss": np.array([4.7, 0.1, 6.0]),
    }
    fig = training_phases(history(), Phases(1800, 9400, 14_000), progress=progress)
    loss, accuracy = fig.axes
    run = history()
    for line, key in zip(loss.lines[:2], ("train_loss", "test_loss"), strict=True):
        np.testing.assert_array_equal(ys(line), run[key])
    for line, key in zip(loss.lines[2:], ("restricted_loss", "excluded_loss"), strict=True):
        np.testing.assert_array_equal(xs(line), progress["step"])
        np.testing.assert_array_equal(ys(line), progress[key])
    measured = np.isfinite(run["test_accuracy"])
    np.testing.assert_array_equal(xs(accuracy.lines[1]), run["step"][measured])
    wanted = {"memorisation": (0, 1800), "circuit formation": (1800, 9400)}
    for ax in (loss, accuracy):
        assert bands(ax) == wanted | {"clean-up": (9400, 14_000)}
        assert ax.get_xscale() == "linear"
    assert loss.get_yscale() == "log"
    png(fig)


@pytest.mark.parametrize(
    ("phases", "shaded"),
    [
        ((None, None, None), {"memorisation": (0, 17_000)}),
        ((1800, None, None), {"memorisation": (0, 1800), "circuit formation": (1800, 17_000)}),
    ],
)
def test_a_phase_that_has_not_ended_goes_on(phases, shaded):
    fig = training_phases(history(), phases)
    assert bands(fig.axes[0]) == shaded
    assert len(fig.axes[0].lines) == 2
    png(fig)


def test_losses_of_zero_and_one_row():
    run = {key: values[:1] for key, values in history().items()} | {"train_loss": [0.0]}
    png(training_phases(run, (None, None, None)))


@pytest.mark.parametrize(
    "phases", [(None, 5, None), (900, 500, None), (900, None, 14_000), (900, 1000)]
)
def test_refuses_phases_out_of_order(phases):
    with pytest.raises(ValueError, match="phases must be three steps in ascending order"):
        training_phases(history(), phases)


def test_refuses():
    run, phases = history(), (None, None, None)
    with pytest.raises(ValueError, match=r"history must have the keys .* missing \['test_loss'\]"):
        training_phases({key: run[key] for key in run if key != "test_loss"}, phases)
    with pytest.raises(ValueError, match=r"progress must have the keys .* missing \['excluded"):
        training_phases(run, phases, progress={"step": [0], "restricted_loss": [1.0]})
    with pytest.raises(ValueError, match=r"history\['train_loss'\] must be finite, got inf"):
        training_phases(run | {"train_loss": np.full(171, np.inf)}, phases)


def test_accuracies_of_pairs_are_drawn_beside_the_others():
    pairs = {
        "step": np.array([0, 6_000, 17_000]),
        "mirrored_accuracy": np.array([0.0, 0.2, 1.0]),
        "other_accuracy": np.array([0.0, 0.02, 1.0]),
    }
    fig = training_phases(history(), Phases(1800, 9400, 14_000), pairs=pairs)
    mirrored, others = fig.axes[1].lines[2:4]
    for line, key in ((mirrored, "mirrored_accuracy"), (others, "other_accuracy")):
        np.testing.assert_array_equal(xs(line), pairs["step"])
        np.testing.assert_array_equal(ys(line), pairs[key])
    png(fig)
