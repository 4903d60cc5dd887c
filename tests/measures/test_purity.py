"""Purity of directions and spans: planted waves, closed forms, brute force, and the nulls."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.measures.purity import (
    direction_shares,
    frequency_curvatures,
    frequency_dimensions,
    neighbour_purities,
    pair_purities,
    rotated_purities,
    span_purities,
)

P, N = 13, 30
F = P // 2
RNG = np.random.default_rng(0)


class Waves(nn.Module):
    """Logits Σₖ aₖ cos(2πk(x − c)/p) + bₖ sin(2πk(x − c)/p): a frequency for every two weights."""

    def __init__(self):
        super().__init__()
        self.amplitudes = nn.Parameter(torch.ones(2 * F, dtype=torch.float64))

    def forward(self, x):
        turns = torch.arange(1, F + 1)[:, None, None] * (x[:, None] - torch.arange(P))
        angles = 2 * torch.pi * turns.double() / P
        return torch.einsum(
            "k,knc->nc", self.amplitudes, torch.cat([torch.cos(angles), torch.sin(angles)])
        )


def of_waves(*directions):
    """Curvatures of a network of waves along directions."""
    columns = np.array(directions, dtype=float).T
    return frequency_curvatures(output_changes(Waves(), torch.arange(P), columns), P)


def unit(*positions):
    """A direction with ones at some of the amplitudes."""
    v = np.zeros(2 * F)
    v[list(positions)] = 1
    return v


def test_a_network_of_exact_waves():
    cosine, sine, both = unit(2), unit(2 + F), unit(2, 4)
    found = of_waves(cosine, sine, both)
    # The mean over p inputs of Σ_c cos² is p/2.
    np.testing.assert_allclose(
        found[2], P / 2 * np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]), atol=1e-9
    )
    np.testing.assert_allclose(found[4], P / 2 * np.diag([0, 0, 1]), atol=1e-9)
    np.testing.assert_allclose(direction_shares(found)[:, 2], [1, 1, 0.5])
    np.testing.assert_allclose(found.sum((1, 2))[[0, 1, 3, 5]], 0, atol=1e-9)


def test_a_doublet_has_two_values_near_one_in_every_basis():
    doublet = of_waves(unit(2), unit(2 + F))
    np.testing.assert_allclose(frequency_dimensions(doublet)[2], [1, 1])
    mixed = of_waves(unit(2) + 3 * unit(2 + F), unit(2))
    assert span_purities(mixed, np.array([[0, 1]])) == (pytest.approx(1), 3)
    # Two frequencies mixed half and half: no vector is pure, and the span has one of each.
    across = of_waves(unit(2) + unit(4), unit(2) - unit(4))
    np.testing.assert_allclose(direction_shares(across).max(1), 0.5)
    np.testing.assert_allclose(frequency_dimensions(across)[[2, 4]], [[1, 0], [1, 0]], atol=1e-9)
    assert span_purities(across, np.array([[0, 1]])).value == pytest.approx(0.5)


def noise(m: int):
    return RNG.normal(size=(m, N, P + 1))


def test_curvatures_by_brute_force():
    changes = noise(3)
    expected = np.zeros((F, 3, 3))
    for k in range(1, F + 1):
        angle = 2 * np.pi * k * np.arange(P) / P
        basis = np.stack([np.cos(angle), np.sin(angle)]) * (2 / P) ** 0.5
        for i in range(N):
            parts = basis @ changes[:, i, :P].T
            expected[k - 1] += parts.T @ parts / N
    np.testing.assert_allclose(frequency_curvatures(changes, P), expected)
    np.testing.assert_allclose(direction_shares(expected), class_frequencies(changes, P))
    halves = [frequency_curvatures(changes[:, part], P) for part in (slice(15), slice(15, None))]
    np.testing.assert_allclose(np.mean(halves, 0), expected)


def test_dimensions_are_generalised_eigenvalues_and_no_matter_of_the_basis():
    changes = noise(4)
    curvatures = frequency_curvatures(changes, P)
    for k in range(F):
        expected = scipy.linalg.eigh(curvatures[k], curvatures.sum(0), eigvals_only=True)
        np.testing.assert_allclose(frequency_dimensions(curvatures)[k], expected[::-1])
    mixed = np.einsum("ij,jnc->inc", RNG.normal(size=(4, 4)), changes)
    found, same = (
        span_purities(frequency_curvatures(of, P), np.arange(4)[None]) for of in (changes, mixed)
    )
    np.testing.assert_allclose(found.value, same.value)
    owned = frequency_dimensions(curvatures).sum(1)
    assert owned.sum() == pytest.approx(4)
    assert found == (pytest.approx(owned.max() / 4), owned.argmax() + 1)


def test_what_does_not_move_the_function_belongs_to_no_frequency():
    silent = of_waves(unit(2), np.zeros(2 * F))
    np.testing.assert_array_equal(direction_shares(silent)[1], 0)
    np.testing.assert_allclose(frequency_dimensions(silent)[2], [1, 0])
    assert span_purities(silent, np.array([[0, 1]])).value == pytest.approx(0.5)


def test_neighbours_and_pairs():
    curvatures = of_waves(unit(2), unit(2 + F), unit(4), unit(4 + F))
    value, frequency = neighbour_purities(curvatures, 3)
    np.testing.assert_allclose(value[:2], [[1, 1, 1, 1], [1, 0.5, 1, np.nan]])
    np.testing.assert_allclose(value[2], [2 / 3, 2 / 3, np.nan, np.nan])
    assert frequency[1, [0, 2, 3]].tolist() == [3, 5, 0]
    pairs = pair_purities(curvatures)
    np.testing.assert_allclose(pairs, np.where(np.equal.outer([0, 0, 1, 1], [0, 0, 1, 1]), 1, 0.5))


def test_random_bases_and_other_orders_mix_what_is_pure():
    changes = output_changes(Waves(), torch.arange(P), np.eye(2 * F))
    curvatures = frequency_curvatures(changes, P)
    pure = neighbour_purities(curvatures, 2)[0]
    rotated = rotated_purities(curvatures, 2, draws=5)
    assert rotated.shape == (5, 2, 2 * F)
    assert (pure[0] > 0.999).all()
    assert np.nanmax(rotated) < 0.9
    assert np.nanmean(rotated[:, 0]) < 0.5
    order = np.array([0, 5, 3, 11, 8, 1, 12, 7, 2, 10, 4, 9, 6])
    other = frequency_curvatures(changes, P, order=order)
    np.testing.assert_allclose(other, frequency_curvatures(changes[..., order], P), atol=1e-12)
    assert neighbour_purities(other, 1)[0].max() < 0.7
    # Multiplied by a residue, frequencies change places, and nothing is less pure.
    turned = frequency_curvatures(changes, P, order=3 * np.arange(P) % P)
    assert (neighbour_purities(turned, 1)[0] > 0.999).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"C ≥ 13, got \(2, 30, 12\)"):
        frequency_curvatures(np.ones((2, 30, 12)), P)
    with pytest.raises(ValueError, match="n ≥ 1"):
        frequency_curvatures(np.ones((2, 0, P)), P)
