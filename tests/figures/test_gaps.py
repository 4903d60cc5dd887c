from __future__ import annotations

import numpy as np
import pytest
from matplotlib.scale import SymmetricalLogTransform

from hdlib.figures import gap_barcode, gap_scores
from hdlib.measures import GapTest

from .drawn import bars, png, ys
from .spectra import known, through


def test_bars_span_the_largest_gaps(trajectory):
    ax = gap_barcode(trajectory, k=15).axes[0]
    assert len(ax.patches) == 15 * len(trajectory)
    for index, spectrum in enumerate(trajectory.spectra):
        column = bars(ax)[15 * index : 15 * index + 15]
        assert {round(bar.get_x() + bar.get_width() / 2) for bar in column} == {index}
        gaps = np.sort(np.diff(spectrum.eigenvalues))[::-1][:15]
        np.testing.assert_allclose([bar.get_height() for bar in column], gaps)
        assert np.isin([bar.get_y() for bar in column], spectrum.eigenvalues).all()


def test_what_is_not_resolved_is_no_gap(ends):
    ax = gap_barcode(ends, k=5, linthresh=1e-4).axes[0]
    drawn = bars(ax)
    assert len(drawn) == 3 * 5 + 3
    for index, spectrum in enumerate(ends.spectra):
        low, high = spectrum.eigenvalues[39:41]
        gaps = np.sort(np.delete(np.diff(spectrum.eigenvalues), 39))[::-1][:5]
        np.testing.assert_allclose(
            [bar.get_height() for bar in drawn[5 * index : 5 * index + 5]], gaps
        )
        bulk = drawn[15 + index]
        assert bulk.get_y() == low
        assert bulk.get_y() + bulk.get_height() == pytest.approx(high)
    transform = ax.yaxis.get_transform()
    assert isinstance(transform, SymmetricalLogTransform)
    assert transform.linthresh == 1e-4


def test_few_gaps_and_what_is_known_may_differ():
    few = through([0, 3], [[1.0, 1.0, 2.0], [4.0, 4.0, 4.0]])
    assert len(gap_barcode(few).axes[0].patches) == 1
    top = [known([1, 2, 4], n=9, lowest=0), known([0, 1, 2, 4], n=9, lowest=1)]
    fig = gap_barcode(through([0, 3], top))
    assert len(bars(fig.axes[0])) == 2 + 2 + 1
    png(fig)


def test_barcode_refuses():
    spectra = through([0], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="must differ at one checkpoint"):
        gap_barcode(through([0], [[1.0, 1.0]]))
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        gap_barcode(spectra, k=0)
    with pytest.raises(ValueError, match="linthresh must be positive, got 0"):
        gap_barcode(spectra, linthresh=0)


def test_scores_that_stand_out_have_their_rank_beside_them():
    tests = [GapTest(9, 7.5, (3.1, 3.6), 0.001), GapTest(33, 3.4, (3.2, 3.5), 0.04)]
    fig = gap_scores([0, 10], {"searched": tests, "alone": tests[::-1]})
    for ax, scores, x in zip(fig.axes, ([7.5, 3.4], [3.4, 7.5]), (0, 10), strict=True):
        np.testing.assert_array_equal(ys(ax.lines[0]), scores)
        (rank,) = ax.texts
        assert (rank.get_text(), rank.xy) == ("9", (x, 7.5))  # pyright: ignore
        band = np.asarray(ax.collections[0].get_paths()[0].vertices)
        assert {3.1, 3.2, 3.5, 3.6} <= set(band[:, 1].tolist())
        assert ax.get_ylim()[0] < 0
    png(fig)
    with pytest.raises(ValueError, match="tests must have at least one entry"):
        gap_scores([0], {})
    with pytest.raises(ValueError, match=r"tests\['a'\] must be 3, one a step, got 2"):
        gap_scores([0, 1, 2], {"a": tests})
