"""The curvature of a bilinear form: why scores of attention have tight clusters of eigenvalues."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ScoreCurvature(NamedTuple):
    """Eigenvalues ±σ that scores give to a Hessian, each as often as the rows are wide.

    Attributes:
        sigma: (r,) float64, the values σ, descending, in units of the loss per squared weight.
        rows: (R, r), unit columns: the rows' part of each direction, in every inner coordinate.
        keys: (H·e, r), unit columns: the keys' part, in the coordinates of all heads.
    """

    sigma: FloatArray
    rows: FloatArray
    keys: FloatArray


def score_curvature(slopes: FloatArray, queries: FloatArray) -> ScoreCurvature:
    """Curvature that a loss owes to its scores being products of rows and keys.

    A head h scores a row x (d,), an embedding or a position, against one query q_h (e,) by

        s_xh = xᵀ K_h q_h = Σ_ij x_i (K_h)_ij q_hj.

    By the chain rule the Hessian of a loss L(s) is Jᵀ L″ J + R with R = Σ_xh g_xh ∇² s_xh and
    g = ∂L/∂s. A score is linear in the rows and linear in the keys, so that of R in these only the
    mixed part is not zero, and it is the same for every inner coordinate i and couples none with
    another:

        ∂² Σ g s / ∂x_i ∂(K_h)_ij = g_xh q_hj.

    As a matrix of rows by keys (h, j) that is B = G Q, with G = (g_xh) and Q the block-diagonal
    matrix of the q_hᵀ. Since these are orthogonal, B has the singular values σ of G diag(‖q_h‖),
    and the symmetric matrix with blocks B and Bᵀ has the eigenvalues ±σ, with vectors (u, ±w)/√2.
    There are d inner coordinates, so each occurs d times: a tight cluster of d eigenvalues at −σ₁,
    and its twin at +σ₁, that are one curvature, and no circuit. What Jᵀ L″ J adds in these
    directions, mostly Gauss–Newton, moves copies upwards: the lowest eigenvalue of the Hessian is
    −σ₁ where some combination of the d directions is without it, and what other products of weights
    add may only be lower still.

    Args:
        slopes: (R, H), derivative of the loss by the score of each row in each head, added up over
            all places where the row occurs.
        queries: (H, e), the query of each head, divided by what its scores are divided by.

    Raises:
        ValueError: if the numbers of heads differ.
    """
    if slopes.ndim != 2 or queries.ndim != 2 or slopes.shape[1] != len(queries):
        raise ValueError(
            f"slopes (R, H) and queries (H, e) are needed, got {slopes.shape} and {queries.shape}"
        )
    norms = np.linalg.norm(queries, axis=1)
    rows, sigma, heads = np.linalg.svd(slopes * norms, full_matrices=False)
    units = np.divide(queries, norms[:, None], out=np.zeros_like(queries), where=norms[:, None] > 0)
    keys = (heads[:, :, None] * units).reshape(len(sigma), -1).T
    return ScoreCurvature(sigma, rows, keys)
