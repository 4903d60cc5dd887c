"""How much of what eigenvectors, and clusters of them, do to a function is of one frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hdlib.measures.fourier import fourier_basis
from hdlib.measures.functions import output_changes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PIECE = 1_000
"""Inputs whose responses are held at a time."""
SILENT = 1e-9
"""Directions with less than so much of the largest curvature of a span do not move the function."""


def frequency_curvatures(
    changes: NDArray[np.floating], p: int, *, order: IntArray | None = None
) -> FloatArray:
    """Curvature that each frequency of the class carries, restricted to a span: Vᵀ Hₖ V.

    With J the Jacobian of the logits, n inputs and F_k the projection of a function of the class
    c = 0 … p − 1 on cos(2πkc/p) and sin(2πkc/p),

        Hₖ = (1/n) Σᵢ Jᵢᵀ F_k Jᵢ,

    so that vᵀ Hₖ v is the mean over the inputs of the squared frequency-k part of J v. Their sum is
    H = (1/n) Σᵢ Jᵢᵀ (1 − 11ᵀ/p) Jᵢ, the Gauss–Newton matrix of the mean squared change of the
    logits less what softmax does not see. The metric is that of the logits and not that of softmax,
    diag(π) − ππᵀ: where a network is certain, the latter sees one class alone, a delta in which all
    frequencies are alike, and projections on frequencies would not add up in it.

    Args:
        changes: (m, n, C), J v of m directions at n inputs, C ≥ p; classes 0 … p − 1 first.
        p: odd.
        order: permutation of 0 … p − 1, in which the classes are taken instead of their own.

    Returns:
        ((p − 1)/2, m, m) float64, symmetric and positive semidefinite. Of inputs in pieces, the
        mean weighted by their sizes is that of all.

    Raises:
        ValueError: if p is even or less than 3, C < p, or there is no input.
    """
    if changes.ndim != 3 or changes.shape[2] < p or not changes.shape[1]:
        raise ValueError(f"changes must be (m, n, C) with n ≥ 1 and C ≥ {p}, got {changes.shape}")
    basis = fourier_basis(p)[1:].astype(changes.dtype)
    if order is not None:
        basis = basis[:, np.argsort(order)]
    kept = changes[..., :p]
    waves = (basis @ kept.reshape(-1, p).T).reshape(p - 1, *kept.shape[:2])
    grams = (waves @ waves.mT).astype(np.float64) / kept.shape[1]
    return grams[::2] + grams[1::2]


def span_curvatures(
    model: nn.Module,
    inputs: Tensor,
    directions: NDArray[np.floating],
    p: int,
    *,
    orders: Sequence[IntArray] = (),
) -> FloatArray:
    """`frequency_curvatures` of directions in the space of a network's weights, in pieces.

    Args:
        model: network of P trained parameters, in the precision that is wanted.
        inputs: n of them.
        directions: (P, m).
        p: odd, the number of classes.
        orders: permutations of 0 … p − 1, in which the classes are taken as well.

    Returns:
        (1 + orders, (p − 1)/2, m, m) float64, with the classes in their own order first.
    """
    m = directions.shape[1]
    total = np.zeros((1 + len(orders), p // 2, m, m))
    for piece in inputs.split(PIECE):
        changes = output_changes(model, piece, directions)
        for at, order in enumerate([None, *orders]):
            total[at] += frequency_curvatures(changes, p, order=order) * len(piece)
    return total / len(inputs)


def direction_shares(curvatures: FloatArray) -> FloatArray:
    """Share of each frequency in vᵀHv, for each direction by itself: vᵀ Hₖ v / Σₖ vᵀ Hₖ v.

    Args:
        curvatures: (F, m, m) of m directions.

    Returns:
        (m, F); rows sum to 1, and are 0 for a direction that does not move the function.
    """
    own = np.diagonal(curvatures, axis1=1, axis2=2).T
    total = own.sum(1, keepdims=True)
    return np.divide(own, total, out=np.zeros_like(own), where=total > 0)


class Purity(NamedTuple):
    """How far each of B spans belongs to one frequency.

    Attributes:
        value: (B,) float64, share of its dimensions that one frequency has at the most, in [0, 1].
        frequency: (B,) int64, that frequency, from 1.
    """

    value: FloatArray
    frequency: IntArray


def frequency_dimensions(curvatures: FloatArray) -> FloatArray:
    """How much of each direction of a span belongs to each frequency: generalised eigenvalues.

    Those of (Vᵀ Hₖ V, Vᵀ H V), H = Σₖ Hₖ, say what share of frequency k the responses to a
    direction of the span have: at the most, at the least, and between. They do not change if V does
    to V R with any invertible R, and are those of no basis. A cluster of a cosine and a sine of one
    frequency has two values near 1 for it.

    Args:
        curvatures: (F, m, m) of m directions. What does not move the function has no frequency.

    Returns:
        (F, m), descending, in [0, 1]; the sum of all is m less the directions that move nothing.
    """
    values, vectors = np.linalg.eigh(curvatures.sum(0))
    moved = values > SILENT * max(values[-1], 0)
    white = vectors[:, moved] / np.sqrt(values[moved])
    found = np.zeros(curvatures.shape[:2])
    found[:, : moved.sum()] = np.linalg.eigvalsh(white.T @ curvatures @ white)[:, ::-1]
    return found.clip(0, 1)


def span_purities(curvatures: FloatArray, members: IntArray) -> Purity:
    """Purity of spans of some of the directions, whatever basis these are of them.

    Of m dimensions frequency k has dₖ = tr((Vᵀ H V)⁻¹ Vᵀ Hₖ V), the sum of its
    `frequency_dimensions`, and the purity is maxₖ dₖ / m: 1 if every direction moves frequency k
    alone, about 2/(p − 1) if none knows of frequencies. For one direction it is the largest of its
    `direction_shares`.

    Args:
        curvatures: (F, m, m) of m directions.
        members: (B, s), the directions of each span.
    """
    rows, columns = members[:, :, None], members[:, None, :]
    within = curvatures[:, rows, columns]
    inverse = np.linalg.pinv(within.sum(0), rcond=SILENT, hermitian=True)
    owned = np.einsum("bij,kbij->bk", inverse, within) / members.shape[1]
    return Purity(owned.max(1), owned.argmax(1) + 1)


def neighbour_purities(curvatures: FloatArray, largest: int) -> tuple[FloatArray, IntArray]:
    """Purity of every cluster of neighbours, and its frequency: [s − 1, i] of i, …, i + s − 1.

    Args:
        curvatures: (F, m, m) of m directions in order.
        largest: number of neighbours in the largest clusters.

    Returns:
        (largest, m) each; NaN and 0 where there are not so many from i on.
    """
    m = curvatures.shape[1]
    value, frequency = np.full((largest, m), np.nan), np.zeros((largest, m), np.int64)
    for size in range(1, min(largest, m) + 1):
        count = m - size + 1
        found = span_purities(curvatures, np.arange(count)[:, None] + np.arange(size))
        value[size - 1, :count], frequency[size - 1, :count] = found
    return value, frequency


def pair_purities(curvatures: FloatArray) -> FloatArray:
    """Purity of the span of every two directions, (m, m); its diagonal is that of each by itself.

    Args:
        curvatures: (F, m, m) of m directions.
    """
    m = curvatures.shape[1]
    found = np.diag(direction_shares(curvatures).max(1))
    i, j = np.triu_indices(m, 1)
    found[i, j] = found[j, i] = span_purities(curvatures, np.stack([i, j], 1)).value
    return found


def rotated_purities(
    curvatures: FloatArray, largest: int, *, draws: int, seed: int = 0
) -> FloatArray:
    """`neighbour_purities` of random orthonormal bases of the span: what it has in any basis.

    Args:
        curvatures: (F, m, m) of m orthonormal directions.
        largest: number of neighbours in the largest clusters.
        draws: number of bases, drawn uniformly.
        seed: seed of the draws.

    Returns:
        (draws, largest, m), NaN where there are not so many.
    """
    generator = np.random.default_rng(seed)
    m, found = curvatures.shape[1], []
    for _ in range(draws):
        basis, _ = np.linalg.qr(generator.standard_normal((m, m)))
        found.append(neighbour_purities(basis.T @ curvatures @ basis, largest)[0])
    return np.stack(found)
