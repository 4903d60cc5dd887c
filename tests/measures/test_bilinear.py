"""The curvature of scores: against the exact Hessian of a bilinear form, and of a whole model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import hessian

from hdlib.measures.bilinear import score_curvature

ROWS, WIDTH, HEADS, INNER = 5, 4, 2, 3
RNG = np.random.default_rng(0)


def scores(theta, queries):
    """Scores (ROWS, HEADS) of rows and keys in one vector of weights."""
    x = theta[: ROWS * WIDTH].view(ROWS, WIDTH)
    keys = theta[ROWS * WIDTH :].view(WIDTH, HEADS, INNER)
    return torch.einsum("ri,ihj,hj->rh", x, keys, queries)


def test_eigenvalues_are_those_of_the_exact_hessian_of_a_sum_of_scores():
    queries = torch.from_numpy(RNG.normal(size=(HEADS, INNER)))
    slopes = torch.from_numpy(RNG.normal(size=(ROWS, HEADS)))
    theta = torch.from_numpy(RNG.normal(size=ROWS * WIDTH + WIDTH * HEADS * INNER))
    matrix = hessian(lambda t: (slopes * scores(t, queries)).sum())(theta).numpy()

    found = score_curvature(slopes.numpy(), queries.numpy())

    expected = np.zeros(len(theta))
    expected[: 2 * WIDTH * HEADS] = np.repeat(np.r_[found.sigma, -found.sigma], WIDTH)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), np.sort(expected), atol=1e-12)
    for i in range(WIDTH):
        for sign in (1, -1):
            rows, keys = np.zeros((ROWS, WIDTH)), np.zeros((WIDTH, HEADS * INNER))
            rows[:, i], keys[i] = found.rows[:, 0], sign * found.keys[:, 0]
            v = np.r_[rows.ravel(), keys.ravel()] / 2**0.5
            np.testing.assert_allclose(matrix @ v, sign * found.sigma[0] * v, atol=1e-12)


def test_of_a_loss_it_is_the_lowest_eigenvalue_where_the_loss_is_flat_along_some_copies():
    """A loss of two scores has a Gauss–Newton part of rank two: all but two copies keep −σ₁."""
    queries = torch.from_numpy(RNG.normal(size=(HEADS, INNER)))
    theta = torch.from_numpy(RNG.normal(size=ROWS * WIDTH + WIDTH * HEADS * INNER))

    def loss(s):
        return (s[0, 0] - 3) ** 2 + (s[1, 1] + 2) ** 2

    given = scores(theta, queries).requires_grad_(True)
    (slopes,) = torch.autograd.grad(loss(given), given)
    matrix = hessian(lambda t: loss(scores(t, queries)))(theta).numpy()

    values = np.linalg.eigvalsh(matrix)
    sigma = score_curvature(slopes.numpy(), queries.numpy()).sigma
    assert (np.abs(values + sigma[0]) < 1e-10).sum() >= WIDTH - 2
    assert values[0] == pytest.approx(-sigma[0])


def test_heads_must_match():
    with pytest.raises(ValueError, match=r"got \(5, 2\) and \(3, 4\)"):
        score_curvature(np.ones((5, 2)), np.ones((3, 4)))
