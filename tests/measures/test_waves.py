from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hdlib.measures.waves import (
    FrequencyShares,
    frequency_shares,
    multiplicative_grid,
    pair_power,
    primitive_powers,
)
from hdlib.training import low_frequency_share


def grid(p: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.indices((p, p))
    return a, b


def one_hot(labels: np.ndarray, p: int) -> np.ndarray:
    return np.eye(p)[labels % p]


def waves(argument: np.ndarray, p: int, frequencies: tuple[int, ...]) -> np.ndarray:
    """Logits Σₖ cos(2πk(argument − c)/p)."""
    d = argument[:, :, None] - np.arange(p)
    return np.sum([np.cos(2 * np.pi * k * d / p) for k in frequencies], axis=0)


def shares(logits: np.ndarray) -> FrequencyShares:
    return frequency_shares(pair_power(logits))


@pytest.mark.parametrize("p", [2, 3, 8, 17])
def test_functions_of_one_argument_have_all_of_their_power_there(p):
    a, b = grid(p)
    rng = np.random.default_rng(0)
    table, other = rng.standard_normal((2, p, 4))
    assert shares(table[(a + b) % p]).sum == pytest.approx(1)
    assert shares(table[(a - b) % p]).difference == pytest.approx(1)
    assert shares(table[a] + other[b]).single == pytest.approx(1)


def test_a_perfect_addition_of_two_frequencies_is_told_from_a_difference():
    """At p = 17; power lies on (k, k) and its conjugate, not on (k, −k)."""
    a, b = grid(17)
    assert shares(waves(a + b, 17, (3, 5))) == pytest.approx((1, 0, 0, 0), abs=1e-12)
    assert shares(waves(a - b, 17, (3, 5))) == pytest.approx((0, 1, 0, 0), abs=1e-12)
    power = pair_power(waves(a + b, 17, (3, 5)))
    expected = np.zeros((17, 17))
    expected[[3, 5, 12, 14], [3, 5, 12, 14]] = 1 / 4
    np.testing.assert_allclose(power, expected, atol=1e-14)


def test_shares_of_a_mixture():
    """Orthogonal waves of amplitudes 1, 2, 3 and 4 have 1, 4, 9 and 16 of 30 parts."""
    p = 11
    a, b = grid(p)
    arguments = a + b, a - b, a, a + 3 * b
    logits = np.sum([n * waves(x, p, (2,)) for n, x in enumerate(arguments, 1)], axis=0)
    assert shares(logits) == pytest.approx(np.array([1, 4, 9, 16]) / 30)
    relabelled = logits[:, :, np.random.default_rng(0).permutation(p)]
    unseen = np.random.default_rng(1).standard_normal((p, p, 1)) + np.arange(p)
    assert shares(5 * relabelled + unseen) == pytest.approx(np.array([1, 4, 9, 16]) / 30)


@given(n=st.integers(2, 9), classes=st.integers(2, 4), seed=st.integers(0, 99))
def test_power_by_the_definition(n, classes, seed):
    logits = np.random.default_rng(seed).standard_normal((n, n, classes))
    centred = logits - logits.mean(2, keepdims=True)
    a, b = grid(n)
    power = np.zeros((n, n))
    for u in range(n):
        for v in range(n):
            wave = np.exp(-2j * np.pi * (u * a + v * b) / n)
            power[u, v] = sum(abs((wave * centred[:, :, c]).sum()) ** 2 for c in range(classes))
    power[0, 0] = 0
    found = pair_power(logits)
    np.testing.assert_allclose(found, power / power.sum(), atol=1e-12)
    total = frequency_shares(found)
    both = found[n // 2, n // 2] if n % 2 == 0 else 0
    assert sum(total) == pytest.approx(1 + both)


def test_power_in_a_disc_is_the_share_that_a_loss_rewards():
    p, k = 13, 4
    logits = np.random.default_rng(0).standard_normal((p, p, p))
    f = np.rint(p * np.fft.fftfreq(p))
    low = f[:, None] ** 2 + f**2 <= k**2
    share = low_frequency_share(torch.from_numpy(logits), k).item()
    assert pair_power(logits)[low].sum() == pytest.approx(share)


@pytest.mark.parametrize(("p", "root"), [(3, 2), (5, 2), (7, 3), (17, 3), (23, 5), (113, 3)])
def test_powers_of_the_least_primitive_root(p, root):
    powers = primitive_powers(p)
    assert powers[1 % (p - 1)] == root
    assert sorted(powers) == list(range(1, p))
    np.testing.assert_array_equal(powers * root % p, np.roll(powers, -1))
    assert primitive_powers(2).tolist() == [1]


@pytest.mark.parametrize("p", [5, 17, 31])
def test_a_perfect_product_lies_on_the_diagonal_of_the_logarithms(p):
    a, b = grid(p)
    product = multiplicative_grid(one_hot(a * b, p))
    found = shares(product)
    assert product.shape == (p - 1, p - 1, p)
    assert found.sum == pytest.approx(1)
    # The Legendre symbol of ab is that of a/b: one of the p − 2 frequencies of the product.
    assert found.difference == pytest.approx(1 / (p - 2))
    inverse = np.array([pow(int(x), -1, p) if x else 0 for x in range(p)])
    quotient = shares(multiplicative_grid(one_hot(a * inverse[b], p)))
    assert quotient.difference == pytest.approx(1)
    # As residues, a product is spread out, and as logarithms a sum.
    assert shares(one_hot(a * b, p)).sum < 1 / 2
    assert shares(multiplicative_grid(one_hot(a + b, p))).sum < 1 / 2


def test_errors():
    with pytest.raises(ValueError, match=r"shape \(5, 4, 2\): must be \(n, n, C\)"):
        pair_power(np.ones((5, 4, 2)))
    with pytest.raises(ValueError, match="no power"):
        pair_power(np.ones((5, 5, 2)))
    with pytest.raises(ValueError, match=r"shape \(5, 4\): must be \(n, n\)"):
        frequency_shares(np.ones((5, 4)))
    with pytest.raises(ValueError, match="p=6: must be a prime"):
        multiplicative_grid(np.ones((6, 6, 6)))
