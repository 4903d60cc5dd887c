"""Spacing ratios and neighbours: against closed forms, brute force and known physics."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from hdlib.measures import laid_over, neighbours, spacing_ratio
from hdlib.measures.spacings import GOE_RATIOS, INDEPENDENT_RATIO


def test_ratio_tells_repulsion_from_independence():
    rng = np.random.default_rng(0)
    assert spacing_ratio(rng.exponential(size=(50, 2_000))) == pytest.approx(
        INDEPENDENT_RATIO, abs=0.003
    )
    for count, expected in enumerate(GOE_RATIOS, 1):
        assert laid_over([300] * count, draws=40).ratio == pytest.approx(expected, abs=0.006)


def test_ratio_of_copies_is_refused():
    with pytest.raises(ValueError, match="leave out the copies that a symmetry makes"):
        spacing_ratio(np.array([1.0, 0.0, 0.0, 2.0]))
    with pytest.raises(ValueError, match="needs two spacings"):
        spacing_ratio(np.array([1.0]))


def test_neighbours_by_brute_force():
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=41).round(2), rng.choice(["a", "b", "c"], size=41)
    found = neighbours(values, labels)
    order = sorted(range(41), key=lambda i: values[i])
    pairs = [(values[j] - values[i], labels[i] != labels[j]) for i, j in pairwise(order)]
    changing, within = ([s for s, c in pairs if c == which] for which in (True, False))
    wider = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(changing, within)]
    assert found.wider == pytest.approx(np.mean(wider))
    assert found.different == pytest.approx(np.mean([change for _, change in pairs]))
    assert found.by_decile.mean() == pytest.approx(found.different)  # 40 spacings, 4 in each


def test_strangers_lie_tightest():
    """Two matrices laid over one another: the numbers of a simulation of its own, one of 2,000."""
    for samples in (None, 3.0):
        found = laid_over([400, 400], samples=samples, draws=10)
        assert found.tightest == pytest.approx(0.97, abs=0.03)
        assert found.different == pytest.approx(0.70, abs=0.03)
        assert found.wider == pytest.approx(0.35, abs=0.03)
        assert found.by_decile[0] > 0.9 > 0.75 > found.by_decile[-1]
    rng = np.random.default_rng(0)
    independent = neighbours(rng.uniform(size=20_000), rng.integers(2, size=20_000))
    assert independent.different == pytest.approx(0.5, abs=0.02)
    assert independent.wider == pytest.approx(0.5, abs=0.02)


def test_seeded_and_of_unequal_sizes():
    one, other = laid_over([90, 10], draws=3, seed=1), laid_over([90, 10], draws=3, seed=1)
    assert one.ratio == other.ratio
    assert one.different < laid_over([50, 50], draws=3).different


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"at least 11, got \(4,\) and \(3,\)"):
        neighbours(np.arange(4.0), [0, 1, 1])
    with pytest.raises(ValueError, match="sizes must be positive"):
        laid_over([5, 0])
    with pytest.raises(ValueError, match=r"samples=0.5: more than 1"):
        laid_over([20, 20], samples=0.5)
