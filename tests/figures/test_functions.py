from __future__ import annotations

import numpy as np
import pytest

from hdlib.figures import dose_series, frequency_shares, leading_frequencies

from .drawn import png, xs, ys


def test_each_cell_names_the_strongest_frequency_and_its_share():
    energy = np.array([[0.1, 0.7, 0.2], [0.4, 0.3, 0.3]])
    fig = leading_frequencies({"0": energy, "100": energy[::-1]}, column_label="step")
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.texts] == ["2\n70%", "1\n40%", "1\n40%", "2\n70%"]
    assert [text.get_fontweight() for text in ax.texts] == ["bold", "normal", "normal", "bold"]
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), [[0.7, 0.4], [0.4, 0.7]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "100"]
    png(fig)


def test_shares_that_cannot_be():
    with pytest.raises(ValueError, match="columns must have at least one entry"):
        leading_frequencies({}, column_label="step")
    with pytest.raises(ValueError, match=r"columns\['b'\] must have shape \(1, 2\)"):
        leading_frequencies({"a": [[0.5, 0.5]], "b": [[1.0]]}, column_label="step")
    with pytest.raises(ValueError, match=r"shares must be within 0 and 1, got -0\.5"):
        leading_frequencies({"a": [[-0.5, 1.0]]}, column_label="step")


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


def test_frequencies_that_ever_have_a_share_are_in_colour():
    steps, shares = np.array([0, 10, 20]), np.array([[0.0, 0.01, 0.0], [0.3, 0, 0], [0, 0.04, 0.6]])
    fig = frequency_shares(steps, shares, transition=(10, 20))
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert names == ["transition", "k = 1", "k = 3"]
    grey, first, second = fig.axes[0].lines
    for line, k in ((grey, 1), (first, 0), (second, 2)):
        np.testing.assert_array_equal(ys(line), shares[:, k])
    png(fig)
    with pytest.raises(ValueError, match="shares must not be negative, got -1"):
        frequency_shares([0], [[-1.0]])
