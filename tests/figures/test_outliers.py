from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Annotation

from hdlib.figures import (
    draws,
    gap_scores,
    gradient_fraction,
    sample_shares,
    sample_sweep,
    subspace_overlap,
)
from hdlib.measures import GapTest

from .drawn import bars, png, xs, ys


@pytest.mark.parametrize("count", [1, 3, 25])
def test_curves_over_steps_hold_the_input(steps, count):
    rng, steps = np.random.default_rng(count), steps[:count]
    part = rng.random(count)
    fig = gradient_fraction(steps, {"top 10": part}, chance=0.1)
    np.testing.assert_array_equal(ys(fig.axes[0].lines[0]), part)
    assert set(ys(fig.axes[0].lines[1])) == {0.1}
    overlap = rng.random((count, count))
    fig = subspace_overlap(steps, overlap)
    np.testing.assert_array_equal(np.asarray(fig.axes[0].images[0].get_array()), overlap)
    png(fig)


def test_scores_that_stand_out_have_their_rank_beside_them(steps):
    tests = [GapTest(9, 7.5, (3.1, 3.6), 0.001), GapTest(33, 3.4, (3.2, 3.5), 0.04)]
    fig = gap_scores(steps[:2], {"searched": tests, "alone": tests[::-1]})
    for ax, scores, x in zip(fig.axes, ([7.5, 3.4], [3.4, 7.5]), steps[:2], strict=True):
        np.testing.assert_array_equal(ys(ax.lines[0]), scores)
        (rank,) = ax.texts
        assert isinstance(rank, Annotation)
        assert (rank.get_text(), rank.xy) == ("9", (x, 7.5))
        band = np.asarray(ax.collections[0].get_paths()[0].vertices)
        assert {3.1, 3.2, 3.5, 3.6} <= set(band[:, 1].tolist())
    png(fig)


def test_outlier_figures_refuse():
    with pytest.raises(ValueError, match="tests must have at least one entry"):
        gap_scores([0], {})
    with pytest.raises(ValueError, match=r"tests\['a'\] must have shape \(2\)"):
        gap_scores([0, 1], {"a": [GapTest(9, 7.5, (3.1, 3.6), 0.001)]})
    with pytest.raises(ValueError, match=r"fractions\['a'\] must lie in \[0, 1\], got 1.5"):
        gradient_fraction([0], {"a": [1.5]}, chance=0.1)
    with pytest.raises(ValueError, match=r"chance must lie in \[0, 1\]"):
        gradient_fraction([0], {"a": [0.5]}, chance=2)
    with pytest.raises(ValueError, match="fractions must have at least one entry"):
        gradient_fraction([0], {}, chance=0.1)
    with pytest.raises(ValueError, match="fractions must be at most 10, got 11"):
        gradient_fraction([0], {str(i): [0.5] for i in range(11)}, chance=0.1)
    with pytest.raises(ValueError, match=r"overlap must have shape \(2, 2\)"):
        subspace_overlap([0, 1], [[1.0]])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_sweep_has_a_panel_a_measure_and_a_curve_a_step(count):
    rng, sizes = np.random.default_rng(count), [50, 1000, 10000]
    measures = {f"measure {i}": rng.uniform(1, 5, (2, 3)) for i in range(count)}
    fig = sample_sweep(sizes, measures, steps=[0, 469])
    panels = [ax for ax in fig.axes if ax.get_visible()]
    for ax, (name, values) in zip(panels, measures.items(), strict=True):
        assert ax.get_title(loc="left") == name
        np.testing.assert_array_equal([ys(line) for line in ax.lines], values)
        np.testing.assert_array_equal(xs(ax.lines[0]), sizes)
    png(fig)


@pytest.mark.parametrize("values", [[3.0], [3.0] * 40, np.random.default_rng(0).gamma(9, 6, 200)])
def test_draws_show_every_value_and_both_marks(values):
    fig = draws(values, reference=4.0, quoted=9.0, label="λ")
    (ax,) = fig.axes
    assert sum(bar.get_height() for bar in bars(ax)) == len(values)
    rug, reference, quoted = ax.lines
    np.testing.assert_array_equal(xs(rug), values)
    assert (xs(reference)[0], xs(quoted)[0]) == (4.0, 9.0)
    assert len(draws(values, reference=4.0, label="λ").axes[0].lines) == 2
    png(fig)


def test_shares_start_at_one_sample():
    fig = sample_shares({"step 0": [0.2, 0.7, 1.1], "step 5": [0.5]})
    lines = fig.axes[0].lines[1:]
    np.testing.assert_array_equal(xs(lines[0]), [1, 2, 3])
    np.testing.assert_array_equal(ys(lines[0]), [0.2, 0.7, 1.1])
    np.testing.assert_array_equal(xs(lines[1]), [1])
    png(fig)


def test_sample_figures_refuse():
    with pytest.raises(ValueError, match=r"measures\['a'\] must have shape \(1, 2\)"):
        sample_sweep([1, 2], {"a": [[1.0]]}, steps=[0])
    with pytest.raises(ValueError, match="sizes must be at least 1 positive"):
        sample_sweep([0, 2], {"a": [[1.0, 2.0]]}, steps=[0])
    with pytest.raises(ValueError, match="reference must be finite, got nan"):
        draws([1.0], reference=np.nan, label="λ")
    with pytest.raises(ValueError, match=r"values must have shape \(any\), got \(0,\)"):
        draws([], reference=1.0, label="λ")
    with pytest.raises(ValueError, match="shares must have at least one entry"):
        sample_shares({})
