from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import leading_eigenvalues

from .drawn import png, xs, ys

STEPS = np.array([0, 100, 200])
VALUES = np.array([[8.0, 4.0, 2.0, 1.0], [1.0, 0.9, 0.1, 0.05], [3.0, 1.0, 1.0, 0.5]])


def test_every_eigenvalue_over_the_largest_in_a_panel_for_each_run():
    runs = {"one": (STEPS, VALUES, 1, None), "two": (STEPS, VALUES, 2, (100, 200))}
    fig = leading_eigenvalues(runs, first_label="heads")
    for ax, (title, (_, _, count, transition)) in zip(fig.axes, runs.items(), strict=True):
        assert ax.get_title("left") == title
        assert len(ax.patches) == (transition is not None)
        colours = [line.get_color() for line in ax.lines]
        assert len(set(colours[:count])) == len(set(colours[count:])) == 1
        assert colours[0] != colours[-1]
        for line, values in zip(ax.lines, VALUES.T, strict=True):
            np.testing.assert_array_equal(xs(line), STEPS)
            np.testing.assert_allclose(ys(line), values / VALUES[:, 0])
    shown = [text.get_text() for text in fig.legends[0].get_texts()]
    assert sorted(shown) == ["heads", "the next ones", "transition"]
    png(fig)


def test_one_checkpoint_and_panels_that_do_not_fill_a_row():
    runs = {str(i): (STEPS[:1], VALUES[:1], 2, None) for i in range(4)}
    fig = leading_eigenvalues(runs, first_label="heads")
    assert [ax.get_visible() for ax in fig.axes] == [True] * 4 + [False] * 2
    png(fig)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ((STEPS, VALUES[:2], 1, None), r"eigenvalues of runs\['a'\] must have shape \(3, any\)"),
        ((STEPS, VALUES[:, ::-1], 1, None), "must be positive, the largest first"),
        ((STEPS, VALUES - 1, 1, None), "must be positive, the largest first"),
        ((STEPS, VALUES, 4, None), r"number in colour of runs\['a'\] must be 1 to 3, got 4"),
        ((STEPS[::-1], VALUES, 1, None), r"steps of runs\['a'\] must be integers"),
        ((STEPS, VALUES, 1, (200, 100)), r"transition of runs\['a'\] must go from a step"),
    ],
)
def test_refuses(run, message):
    with pytest.raises(ValueError, match=message):
        leading_eigenvalues({"a": run}, first_label="heads")


def test_refuses_no_run():
    with pytest.raises(ValueError, match="runs must have at least one entry"):
        leading_eigenvalues({}, first_label="heads")
