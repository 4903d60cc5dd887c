from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from hdlib.measures import spectral_summary


def test_summary_in_numbers():
    summary = spectral_summary(np.array([3.0, -1.0, 0.0, 0.005, -0.005]))
    assert summary.trace == 2
    assert (summary.largest_eigenvalue, summary.smallest_eigenvalue) == (3, -1)
    assert summary.n_negative == 2
    assert summary.n_small == 3
    shares = np.array([3, 1, 0, 0.005, 0.005]) / 4.01
    assert summary.spectral_entropy == pytest.approx(entropy(shares), rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_entropy_in_closed_form(n):
    signs = (-1.0) ** np.arange(n)
    assert spectral_summary(0.3 * signs).spectral_entropy == pytest.approx(np.log(n), abs=1e-12)
    one = np.r_[np.zeros(n), -2.0]
    assert spectral_summary(one).spectral_entropy == 0
    # pᵢ = 2⁻ⁱ, the last one twice: Σ i 2⁻ⁱ bits.
    halves = np.r_[0.5 ** np.arange(1, 30), 0.5**29]
    assert spectral_summary(halves).spectral_entropy == pytest.approx(
        (2 - 2.0**-28) * np.log(2), rel=1e-12
    )


def test_rounding_errors_are_not_negative():
    values = np.r_[np.full(10, -1e-16), 1.0]
    assert spectral_summary(values).n_negative == 0
    assert spectral_summary(np.r_[-1e-12, 1.0]).n_negative == 1


def test_zero_and_empty_spectra():
    summary = spectral_summary(np.zeros(4))
    assert summary.spectral_entropy == 0
    assert summary.n_small == 4
    with pytest.raises(ValueError, match="at least one eigenvalue"):
        spectral_summary(np.array([]))
