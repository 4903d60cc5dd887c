"""Which basis of a span moves as few features as may be with each of its vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SWEEPS = 30
TURNED = 1e-8
"""Angles below it are no rotation."""


def concentrating_basis(curvatures: FloatArray) -> FloatArray:
    """The rotation R for which Rᵀ G_f R are as diagonal as may be, all at once.

    Jacobi rotations (Cardoso & Souloumiac 1996) make Σ_f Σᵢ (Rᵀ G_f R)ᵢᵢ² as large as it gets: each
    vector has its energy in few features. It depends on the span and not on the basis that it is
    given in, but for order and signs, where features tell its directions apart.

    Args:
        curvatures: G, (F, s, s), symmetric.

    Returns:
        (s, s) float64 orthogonal, columns the vectors.
    """
    turned = curvatures.copy()
    size = turned.shape[1]
    basis = np.eye(size)
    for _ in range(SWEEPS):
        largest = 0.0
        for p in range(size):
            for q in range(p + 1, size):
                differences = turned[:, p, p] - turned[:, q, q]
                couplings = 2 * turned[:, p, q]
                on = differences @ differences - couplings @ couplings
                off = 2 * differences @ couplings
                angle = 0.5 * np.arctan2(off, on + np.hypot(on, off))
                if abs(angle) < TURNED:
                    continue
                largest = max(largest, abs(angle))
                rotation = np.array(
                    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
                )
                pair = [p, q]
                turned[:, :, pair] = turned[:, :, pair] @ rotation
                turned[:, pair] = rotation.T @ turned[:, pair]
                basis[:, pair] = basis[:, pair] @ rotation
        if largest == 0:
            break
    return basis
