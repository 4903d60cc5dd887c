"""The value itself: what is known of a spectrum, which part of it is certain, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdlib import Spectrum, spectrum

from .operators import Operator, planted

N = 40
MATRIX = planted(np.arange(N) - 12.0)
WHOLE = spectrum(MATRIX, top=4, bottom=3)
ENDS = spectrum(Operator(MATRIX), top=5, bottom=3)


def marked(converged, lowest: int, n: int = 100) -> Spectrum:
    """A spectrum of which some pairs are certified."""
    m = len(converged)
    return Spectrum(
        n=n,
        eigenvalues=np.arange(1.0, m + 1),
        lowest=lowest,
        indices=np.arange(m),
        residuals=np.where(converged, 1e-9, 1e-2),
        vectors=np.eye(n)[:, :m],
        scale=float(m),
        tol=1e-6,
        products=0,
    )


def test_pairs_are_certain_as_far_as_all_further_out_are_certified():
    converged = np.array([1, 1, 0, 1, 0, 1, 1], bool)
    for lowest, kept in ((4, [0, 1, 5, 6]), (0, [5, 6]), (7, [0, 1])):
        found = marked(converged, lowest)
        np.testing.assert_array_equal(found.certified, converged)
        sure = found.certified_ends()
        assert sure.eigenvalues.tolist() == [kept_at + 1 for kept_at in kept]
        np.testing.assert_array_equal(sure.vectors, found.vectors[:, kept])
        assert sure.certified.all()
        assert (sure.n, sure.lowest) == (100, sum(at < lowest for at in kept))
        assert sure.unresolved == 100 - len(kept)


def test_certificates_are_relative_to_all_that_was_found():
    """The end with the largest |λ| is left out, and the other is no less certain than before."""
    values = np.r_[np.linspace(-1e-3, 0, N - 5), 40 + np.arange(5.0)]
    found = spectrum(Operator(planted(values)), top=5, bottom=3, tol=1e-6)
    found = replace(found, residuals=np.full(8, 1e-5))
    lowest = found.ends(lowest=3, highest=0)
    assert lowest.certified.all()
    assert lowest.scale == found.scale == np.abs(found.eigenvalues).max()
    bad = replace(found, residuals=np.r_[found.residuals[:-1], 1.0]).certified_ends()
    assert (bad.lowest, bad.highest) == (3, 0)
    assert bad.certified.all()


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 12))
def test_certain_ends_of_any_pairs(converged, lowest):
    found = marked(converged, min(lowest, len(converged)))
    sure = found.certified_ends()
    assert sure.certified.all()
    assert sure.certified_ends() is sure
    assert set(sure.eigenvalues) <= set(found.eigenvalues[found.certified])
    assert (sure is found) == all(converged)
    low, high = sure.eigenvalues[: sure.lowest], sure.eigenvalues[sure.lowest :]
    np.testing.assert_array_equal(low, found.eigenvalues[: sure.lowest])
    np.testing.assert_array_equal(high, found.eigenvalues[len(converged) - sure.highest :])
    # The next one from either end is not certified, or there is none.
    assert sure.lowest == found.lowest or not found.certified[sure.lowest]
    assert sure.highest == found.highest or not found.certified[-1 - sure.highest]


def test_ends_of_ends():
    fewer = ENDS.ends(lowest=1, highest=4)
    np.testing.assert_array_equal(fewer.eigenvalues, ENDS.eigenvalues[[0, 4, 5, 6, 7]])
    np.testing.assert_array_equal(fewer.top(4), ENDS.top(4))
    np.testing.assert_array_equal(fewer.residuals, ENDS.residuals[[0, 4, 5, 6, 7]])
    assert fewer.unresolved == N - 5
    part = WHOLE.ends(lowest=10, highest=3)
    np.testing.assert_array_equal(part.eigenvalues, WHOLE.eigenvalues[[*range(10), -3, -2, -1]])
    assert part.indices.tolist() == [0, 1, 2, 10, 11, 12]
    np.testing.assert_array_equal(part.bottom(3), WHOLE.bottom(3))
    assert part.trace_error is None
    for lowest, highest in ((4, 0), (0, 6), (-1, 0)):
        with pytest.raises(
            ValueError, match=r"eigenvalues were asked for, \d eigenvalues are known"
        ):
            ENDS.ends(lowest=lowest, highest=highest)


@pytest.mark.parametrize("found", [WHOLE, ENDS])
def test_vectors_at_both_ends(found):
    for vector, value in zip(found.top(4).T, N - 13.0 - np.arange(4), strict=True):
        np.testing.assert_allclose(MATRIX @ vector, value * vector, atol=1e-4)
    for vector, value in zip(found.bottom(3).T, np.arange(3) - 12.0, strict=True):
        np.testing.assert_allclose(MATRIX @ vector, value * vector, atol=1e-4)
    assert found.top(0).shape == found.bottom(0).shape == (N, 0)
    for end in (found.top, found.bottom):
        with pytest.raises(ValueError, match=r"(top|bottom) 6 eigenvectors|6 (top|bottom)"):
            end(6)
        with pytest.raises(ValueError, match=r"the -1 (top|bottom) eigenvectors"):
            end(-1)
    without = replace(found, vectors=found.vectors[:, :0])
    assert without.certified.all()
    with pytest.raises(ValueError, match="the top 1 eigenvectors were asked for, not all are"):
        without.top(1)
    # What was the third from the bottom is not the top of a spectrum known at its lower end.
    with pytest.raises(ValueError, match="the 1 top eigenvectors were asked for, 0 eigenvalues"):
        ENDS.ends(lowest=3, highest=0).top(1)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (WHOLE, "Spectrum of 40 eigenvalues, all known"),
        (WHOLE, "λ: -12 … 27"),
        (WHOLE, "7 of 7 pairs certified to 1e-10 of the largest |λ|"),
        (WHOLE, "trace and Frobenius norm close to "),
        (ENDS, "Spectrum of 40 eigenvalues, 3 lowest and 5 highest known, 32 between unresolved"),
        (ENDS, "λ: -12 … -10, 23 … 27"),
        (ENDS, "8 of 8 pairs certified to 1e-06"),
        (ENDS, "float64 products"),
        (marked([True, False, True], 1), "2 of 3 pairs certified to 1e-06"),
        (marked([False], 1), "worst residual 1e-02"),
        (marked([False], 1).certified_ends(), "0 lowest and 0 highest known, 100 between"),
    ],
)
def test_what_it_says(found, words):
    assert words in repr(found)
    assert len(repr(found).splitlines()) <= 4


def test_vectors_of_the_highest_alone():
    some = ENDS.with_vectors(3)
    assert some.vectors.shape == (N, 3)
    assert some.kept.tolist() == [5, 6, 7]
    np.testing.assert_array_equal(some.top(3), ENDS.top(3))
    np.testing.assert_array_equal(some.residuals, ENDS.residuals)
    fewer = some.ends(lowest=1, highest=2)
    assert fewer.kept.tolist() == [1, 2]
    np.testing.assert_array_equal(fewer.top(2), ENDS.top(2))
    assert some.ends(lowest=3, highest=0).vectors.shape == (N, 0)
    for asked, words in ((some.top, "top 4"), (some.bottom, "4 bottom"), (some.with_vectors, "4")):
        with pytest.raises(ValueError, match=words):
            asked(4)
    with pytest.raises(ValueError, match="bottom 1 eigenvectors were asked for, not all are known"):
        some.bottom(1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 7}, "n of a Spectrum must be at least 1 and 8"),
        ({"eigenvalues": np.arange(8.0)[::-1]}, "eigenvalues of a Spectrum must be ascending"),
        ({"eigenvalues": np.r_[np.arange(7.0), np.nan]}, "must be a finite vector"),
        ({"scale": 26.9}, r"scale of a Spectrum must be at least the largest \|λ\|"),
        ({"lowest": 9}, "lowest of a Spectrum must be 0 to 8"),
        ({"lowest": -1}, "lowest of a Spectrum must be 0 to 8"),
        (
            {"indices": np.array([0, 1, 2, 3, 4, 5, 6, 8])},
            "indices of a Spectrum must be ascending",
        ),
        (
            {"indices": np.array([1, 0, 2, 3, 4, 5, 6, 7])},
            "indices of a Spectrum must be ascending",
        ),
        ({"residuals": np.zeros(3)}, r"residuals of a Spectrum must be \(8,\)"),
        ({"vectors": np.zeros((N, 9))}, r"vectors of a Spectrum must be \(40, at most 8\)"),
        ({"vectors": np.zeros((8, 8))}, r"vectors of a Spectrum must be \(40, at most 8\)"),
        ({"vectors": np.zeros(N)}, r"vectors of a Spectrum must be \(40, at most 8\)"),
    ],
)
def test_parts_that_do_not_fit(change: dict[str, Any], words):
    with pytest.raises(ValueError, match=words):
        replace(ENDS, **change)
