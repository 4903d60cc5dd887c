from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.measures.fourier import fourier_basis
from hdlib.measures.progress import (
    Phases,
    excluded_logits,
    phases,
    progress,
    restricted_logits,
)

RNG = np.random.default_rng(0)


def grid(p: int):
    return np.divmod(np.arange(p * p), p)


def fourier_multiplication(p: int, weights: dict[int, float]):
    a = np.arange(p)
    d = a[:, None, None] + a[:, None] - a
    return np.sum([w * np.cos(2 * np.pi * k * d / p) for k, w in weights.items()], axis=0)


def wave_projector(p: int, frequencies):
    """Projector on cos and sin of w(a + b), from their four products in the 2D Fourier basis."""
    basis = fourier_basis(p)
    directions = []
    for k in frequencies:
        c, s = basis[2 * k - 1], basis[2 * k]
        directions.append((np.outer(c, c) - np.outer(s, s)).ravel() / 2**0.5)
        directions.append((np.outer(s, c) + np.outer(c, s)).ravel() / 2**0.5)
    q = np.array(directions)
    return q.T @ q


@pytest.mark.parametrize("frequencies", [[], [2], [1, 3, 5]])
def test_projections_equal_explicit_ones_in_two_dimensions(frequencies):
    p, c = 11, 12
    logits = RNG.standard_normal((p, p, c)) + 3
    flat = logits.reshape(p * p, c)
    waves = wave_projector(p, frequencies) @ flat if frequencies else np.zeros_like(flat)
    k = np.array(frequencies, int)
    np.testing.assert_allclose(
        restricted_logits(logits, k).reshape(p * p, c), waves + flat.mean(0), atol=1e-13
    )
    np.testing.assert_allclose(
        excluded_logits(logits, k).reshape(p * p, c), flat - waves, atol=1e-13
    )


def test_projections_are_complementary_and_idempotent():
    logits, k = RNG.standard_normal((7, 7, 7)), np.array([3, 1])
    restricted, excluded = restricted_logits(logits, k), excluded_logits(logits, k)
    constant = logits.mean((0, 1))
    np.testing.assert_allclose(restricted + excluded, logits + constant, atol=1e-14)
    np.testing.assert_allclose(restricted_logits(restricted, k), restricted, atol=1e-14)
    np.testing.assert_allclose(excluded_logits(excluded, k), excluded, atol=1e-14)
    assert ((restricted - constant) * excluded).sum() == pytest.approx(0, abs=1e-13)


def test_losses_are_those_of_the_projected_logits():
    p, k = 11, np.array([2, 5])
    logits = 3 * RNG.standard_normal((p, p, p + 1)) + np.pad(
        fourier_multiplication(p, {2: 4.0, 5: 3.0}), ((0, 0), (0, 0), (0, 1))
    )
    a, b = grid(p)
    chosen = RNG.permutation(p * p)[:40]
    a, b = a[chosen], b[chosen]

    def loss(values, a, b):
        targets = torch.from_numpy((a + b) % p)
        return F.cross_entropy(torch.from_numpy(values[a, b]), targets).item()

    result = progress(logits, k, a=a, b=b)
    assert result.restricted == pytest.approx(loss(restricted_logits(logits, k), *grid(p)))
    assert result.excluded == pytest.approx(loss(excluded_logits(logits, k), a, b))
    for i, one in enumerate(k[:, None]):
        restricted = loss(restricted_logits(logits, one), *grid(p))
        assert result.restricted_by_frequency[i] == pytest.approx(restricted)
        assert result.excluded_by_frequency[i] == pytest.approx(
            loss(excluded_logits(logits, one), a, b)
        )


def test_a_pure_circuit_and_a_pure_memory():
    """Without its waves a circuit guesses; what was memorised survives, and does not generalise."""
    p, k = 23, np.array([3, 7])
    a, b = grid(p)
    circuit = fourier_multiplication(p, {3: 40.0, 7: 40.0})
    measured = progress(circuit, k, a=a, b=b)
    assert measured.restricted < 1e-2
    assert measured.excluded == pytest.approx(np.log(p), rel=1e-12)

    known = RNG.permutation(p * p)[:150]
    memory = np.zeros((p, p, p))
    memory[a[known], b[known], (a[known] + b[known]) % p] = 30
    measured = progress(memory, k, a=a[known], b=b[known])
    assert measured.excluded < 1e-3
    assert measured.restricted > 1


def test_small_losses_keep_their_digits():
    p, k = 5, np.array([1, 2])
    logits = np.zeros((p, p, p))
    a, b = grid(p)
    logits[a, b, (a + b) % p] = 25
    expected = np.log1p(4 * np.exp(-25.0))
    assert progress(logits + 1e3, k, a=a, b=b).restricted == pytest.approx(expected, rel=1e-3)


STEPS = np.r_[0, 10, 50, 100, 200, np.arange(500, 5000, 100), np.arange(5000, 20_001, 500)]
CHANCE = float(np.log(113))


def curve(points: dict[int, float], noise: float = 0.0, seed: int = 0):
    """A loss that is piecewise exponential between (step, loss), with log-normal noise."""
    log = np.interp(STEPS, list(points), np.log(list(points.values())))
    return np.exp(log + noise * np.random.default_rng(seed).standard_normal(len(STEPS)))


def grokking(noise: float = 0.0, end: int = 20_000):
    """Train flat from 1,400; excluded rises from there; test falls from 9,400 to 14,000."""
    losses = {
        "train_loss": curve({0: CHANCE, 1400: 1e-6, 20_000: 4e-7}, noise, 1),
        "test_loss": curve(
            {0: CHANCE, 1400: 20, 8900: 8, 9450: 4, 14_000: 2e-6, 20_000: 1e-6}, noise, 2
        ),
        "excluded_loss": curve({0: CHANCE, 1400: 1e-4, 9400: 5, 20_000: 7}, noise, 3),
    }
    n = int(np.searchsorted(STEPS, end, side="right"))
    return STEPS[:n], {name: losses[name][:n] for name in losses}


def test_phases_of_planted_curves():
    steps, losses = grokking()
    found = phases(steps, **losses, chance=CHANCE)
    assert found.memorised == pytest.approx(1400, abs=200)
    assert found.formed == pytest.approx(9400, abs=500)
    assert found.cleaned == pytest.approx(14_000, abs=500)


@pytest.mark.parametrize("seed", range(5))
def test_phases_withstand_noise_and_spikes(seed):
    rng = np.random.default_rng(seed)
    steps, losses = grokking(noise=0.3)
    for name in losses:
        # Losses a thousand times up at every tenth checkpoint or so, for a single one.
        spikes = 3 + 10 * np.arange(7) + rng.integers(0, 5, 7)
        losses[name][spikes] *= 1e3
        losses[name][spikes + 2] /= 10
    found = phases(steps, **losses, chance=CHANCE)
    assert found.memorised == pytest.approx(1400, abs=400)
    assert found.formed == pytest.approx(9400, abs=1000)
    assert found.cleaned == pytest.approx(14_000, abs=1500)


def test_phases_that_have_not_ended():
    for end, ended in ((13_000, 2), (9000, 1), (1000, 0)):
        steps, losses = grokking(end=end)
        found = phases(steps, **losses, chance=CHANCE)
        assert [value is not None for value in found] == [True] * ended + [False] * (3 - ended)


def test_memorisation_alone_has_no_boundary():
    """Neither where all stays flat, nor where the training loss rises again in bursts."""
    for points in ({0: CHANCE, 1400: 1e-5}, {0: CHANCE, 1400: 1e-5, 12_000: 1e-5, 15_000: 1e-2}):
        train = curve(points, 0.3, 1)
        excluded = 2 * train * np.exp(0.1 * np.random.default_rng(2).standard_normal(len(train)))
        test = curve({0: CHANCE, 1400: 25, 20_000: 22}, 0.1, 3)
        found = phases(
            STEPS, train_loss=train, test_loss=test, excluded_loss=excluded, chance=CHANCE
        )
        assert found == Phases(None, None, None)


def test_errors():
    logits, a, b = np.zeros((5, 5, 5)), np.array([0, 1]), np.array([3, 4])
    with pytest.raises(ValueError, match=r"frequencies \[3\]: must be different and from 1 to 2"):
        progress(logits, np.array([3]), a=a, b=b)
    with pytest.raises(ValueError, match=r"shape \(5, 4, 5\)"):
        restricted_logits(logits[:, :4], np.array([1]))
    with pytest.raises(ValueError, match=r"equally many a and b, got \(2,\) and \(1,\)"):
        progress(logits, np.array([1]), a=a, b=b[:1])
    with pytest.raises(ValueError, match=r"got \(0,\) and \(0,\)"):
        progress(logits, np.array([1]), a=a[:0], b=b[:0])
    steps, losses = grokking()
    with pytest.raises(ValueError, match=r"test_loss of shape \(3,\)"):
        phases(steps, **{**losses, "test_loss": np.ones(3)}, chance=CHANCE)
    with pytest.raises(ValueError, match="train_loss: must be positive and finite"):
        phases(steps, **{**losses, "train_loss": 0 * steps}, chance=CHANCE)
    with pytest.raises(ValueError, match="ascending"):
        phases(steps[::-1], **losses, chance=CHANCE)
