from __future__ import annotations

import numpy as np
import pytest
import torch

from hdlib.measures.fourier import (
    centred_logits,
    explained_variance,
    fourier_basis,
    frequency_power,
    gini,
    key_frequencies,
    logit_power,
    sum_profile,
)
from hdlib.models.transformer import ModularTransformer

RNG = np.random.default_rng(0)


def wave(p: int, k: int, phase: float = 0.0):
    return np.cos(2 * np.pi * k * np.arange(p) / p - phase)


def planted(p: int, m: int, frequencies, *, strength: float, seed: int = 0):
    """Noise of unit variance; each frequency a plane of waves of ``strength`` as variance."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((p, m))
    for k in frequencies:
        plane = np.stack([wave(p, k), wave(p, k, np.pi / 2)], 1)
        matrix += strength**0.5 * plane @ rng.standard_normal((2, m))
    return matrix


@pytest.mark.parametrize("p", [3, 23, 113])
def test_basis_is_orthogonal_and_in_order(p):
    basis = fourier_basis(p)
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-14)
    k = (p - 1) // 2
    np.testing.assert_allclose(basis[2 * k - 1] * (p / 2) ** 0.5, wave(p, k), atol=1e-12)
    np.testing.assert_allclose(basis[2 * k] * (p / 2) ** 0.5, wave(p, k, np.pi / 2), atol=1e-12)


def test_power_against_the_fast_fourier_transform():
    matrix = RNG.standard_normal((23, 7)) + 5
    spectrum = np.abs(np.fft.rfft(matrix, axis=0, norm="ortho")) ** 2
    np.testing.assert_allclose(frequency_power(matrix), 2 * spectrum[1:].sum(1), rtol=1e-12)


def test_gini_in_closed_form():
    assert gini(np.full(10, 0.3)) == pytest.approx(0, abs=1e-15)
    assert gini(np.r_[np.zeros(9), 4.0]) == pytest.approx(0.9, rel=1e-15)
    # 1, …, n: (n − 1)(n + 1)/6 over n(n + 1)/2.
    assert gini(np.arange(1.0, 57)) == pytest.approx(55 / (3 * 56), rel=1e-14)
    values = RNG.exponential(size=40)
    differences = np.abs(values[:, None] - values).mean()
    assert gini(values) == pytest.approx(differences / 2 / values.mean(), rel=1e-13)


@pytest.mark.parametrize("frequencies", [[7], [1, 20], [3, 14, 27, 35, 52], [2, 9, 11, 30, 31, 40]])
def test_planted_frequencies_are_found(frequencies):
    assert key_frequencies(planted(113, 128, frequencies, strength=0.5)).tolist() == frequencies
    assert key_frequencies(planted(113, 32, frequencies, strength=20)).tolist() == frequencies


def test_planted_frequencies_without_noise_and_with_an_offset():
    matrix = planted(23, 16, [3, 8], strength=1e12) + 1e7
    assert key_frequencies(matrix).tolist() == [3, 8]


def test_weak_frequencies_are_not_key_beside_strong_ones():
    weak = planted(113, 64, [10], strength=0.3)
    assert key_frequencies(weak).tolist() == [10]
    strong = planted(113, 64, [20, 40], strength=40, seed=1)
    assert key_frequencies(weak + strong).tolist() == [20, 40]


def isotropic(rng):
    return rng.standard_normal((23, 16))


def dominated_by_one_column(rng):
    return rng.standard_normal((23, 16)) * np.r_[10, np.ones(15)]


def heavy_tailed(rng):
    return rng.standard_t(2, (23, 4))


def shuffled_waves(rng):
    return rng.permutation(planted(23, 8, [2, 5], strength=100))


@pytest.mark.parametrize(
    "draw",
    [isotropic, dominated_by_one_column, heavy_tailed, shuffled_waves],
    ids=lambda f: f.__name__,
)
def test_random_matrices_have_no_key_frequency_but_at_the_stated_rate(draw, monkeypatch):
    """At a level of 0.2, 60 of 300 on average; 5 standard deviations of 6.9 to either side."""
    monkeypatch.setattr("hdlib.measures.fourier.RELABELLINGS", 99)
    rng = np.random.default_rng(1)
    found = sum(key_frequencies(draw(rng), level=0.2).size > 0 for _ in range(300))
    assert 25 <= found <= 95


def test_no_key_frequency_in_initial_embeddings():
    for seed in range(3):
        matrix = np.random.default_rng(seed).standard_normal((113, 128)) / 128**0.5
        assert key_frequencies(matrix).size == 0
    assert key_frequencies(np.zeros((23, 4))).size == 0


def fourier_multiplication(p: int, weights: dict[int, float]):
    a = np.arange(p)
    d = a[:, None, None] + a[:, None] - a
    return np.sum([w * np.cos(2 * np.pi * k * d / p) for k, w in weights.items()], axis=0)


def test_sum_profile_is_the_projection_on_functions_of_the_sum():
    p, logits = 5, RNG.standard_normal((5, 5, 6))
    s = np.add.outer(np.arange(p), np.arange(p)) % p
    indicators = np.eye(p)[s.ravel()]
    fitted = np.linalg.lstsq(indicators, logits.reshape(p * p, 6), rcond=None)[0]
    np.testing.assert_allclose(sum_profile(logits), fitted, atol=1e-14)


def test_logit_power_of_fourier_multiplication():
    """Waves weighted 3 and 4 hold 9 and 16 parts of 25; what softmax does not see is ignored."""
    p = 11
    logits = fourier_multiplication(p, {2: 3.0, 5: 4.0}) + RNG.standard_normal((p, p, 1))
    equals = RNG.standard_normal((p, p, 1))
    for given in (logits, np.concatenate([logits, equals], 2)):
        np.testing.assert_allclose(
            logit_power(given), [0, 9 / 25, 0, 0, 16 / 25], rtol=1e-12, atol=1e-28
        )
        assert explained_variance(given, np.array([5])) == pytest.approx(16 / 25, rel=1e-12)
        assert explained_variance(given, np.array([5, 2])) == pytest.approx(1, rel=1e-12)


def test_key_frequencies_of_logits():
    logits = fourier_multiplication(23, {2: 3.0, 9: 4.0}) + RNG.standard_normal((23, 23, 23))
    assert key_frequencies(centred_logits(logits).reshape(-1, 23).T).tolist() == [2, 9]


def test_untrained_transformers_have_key_frequencies_at_the_stated_rate(monkeypatch):
    """Of 60 at a level of 0.1, 6 on average; 20 is 6 standard deviations more."""
    monkeypatch.setattr("hdlib.measures.fourier.RELABELLINGS", 99)
    p, found = 11, np.zeros(2, int)
    grid = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    tokens = torch.cat([grid, torch.full((p * p, 1), p)], 1)
    for seed in range(60):
        torch.manual_seed(seed)
        model = ModularTransformer(p, width=16, n_heads=2, activation="relu").double()
        with torch.no_grad():
            logits = model(tokens).view(p, p, p).numpy()
        matrices = (
            model.embedding[:p].detach().numpy(),
            centred_logits(logits).reshape(-1, p).T,
        )
        found += [key_frequencies(matrix, level=0.1).size > 0 for matrix in matrices]
    assert (found < 20).all()


def test_logit_power_against_explicit_directions():
    p = 7
    logits = RNG.standard_normal((p, p, p))
    logits -= logits.mean(2, keepdims=True)
    for k, share in enumerate(logit_power(logits), start=1):
        direction = fourier_multiplication(p, {k: 1.0})
        direction /= np.linalg.norm(direction)
        assert share == pytest.approx((direction * logits).sum() ** 2 / (logits**2).sum())
    # cos(w(a − b − c)) is no function of the sum.
    assert logit_power(fourier_multiplication(p, {3: 1.0})[:, -np.arange(p)]).max() < 1e-28


def test_errors():
    for p in (2, 4, 1):
        with pytest.raises(ValueError, match=f"p={p}: must be odd and at least 3"):
            fourier_basis(p)
    with pytest.raises(ValueError, match="p=4"):
        frequency_power(np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"not all 0; got 2 from -1.0 to 3.0"):
        gini(np.array([3.0, -1.0]))
    with pytest.raises(ValueError, match=r"not all 0; got 3 from 0.0 to 0.0"):
        gini(np.zeros(3))
    with pytest.raises(ValueError, match="got none"):
        gini(np.array([]))
    with pytest.raises(ValueError, match="level=1: must be between 0 and 1"):
        key_frequencies(np.ones((5, 2)), level=1)
    with pytest.raises(ValueError, match=r"shape \(5, 5, 4\): must be \(p, p, C\) with C ≥ p"):
        logit_power(np.ones((5, 5, 4)))
    with pytest.raises(ValueError, match="no variance"):
        logit_power(np.ones((5, 5, 5)))
    for bad in ([0], [3], [1, 1]):
        with pytest.raises(ValueError, match="must be different and from 1 to 2"):
            explained_variance(np.eye(5)[:, :, None] * np.arange(5.0), np.array(bad))
