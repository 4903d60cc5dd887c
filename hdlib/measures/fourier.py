"""Functions of residues mod p as waves: which frequencies carry embeddings and logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RELABELLINGS = 999
"""With the data themselves 1,000 arrangements, so that a level of 0.01 is attained exactly."""


def fourier_basis(p: int) -> FloatArray:
    """The real Fourier basis over the residues 0 … p − 1.

    Rows: the constant p^-½, then (2/p)^½ cos(2πka/p) and (2/p)^½ sin(2πka/p) for the frequencies
    k = 1 … (p − 1)/2; so frequency k has rows 2k − 1 and 2k (Nanda et al. 2023).

    Args:
        p: odd, at least 3.

    Returns:
        (p, p) float64, orthogonal.

    Raises:
        ValueError: if p is even or less than 3.
    """
    if p < 3 or p % 2 == 0:
        raise ValueError(f"p={p}: must be odd and at least 3")
    # Reduced mod p in integers: large angles would cost digits.
    turns = np.outer(np.arange(1, (p + 1) // 2), np.arange(p)) % p
    angles = 2 * np.pi * turns / p
    basis = np.empty((p, p))
    basis[0] = p**-0.5
    basis[1::2] = np.cos(angles) * (2 / p) ** 0.5
    basis[2::2] = np.sin(angles) * (2 / p) ** 0.5
    return basis


def frequency_power(matrix: FloatArray) -> FloatArray:
    """Squared norm of a matrix's columns in the two dimensions of each frequency.

    Args:
        matrix: (p, m), a row for each residue; p odd.

    Returns:
        ((p − 1)/2,) for frequencies 1 … (p − 1)/2. With the constant's power p‖mean row‖² the sum
        is ‖matrix‖²_F.

    Raises:
        ValueError: if p is even or less than 3.
    """
    rows = ((fourier_basis(len(matrix))[1:] @ matrix) ** 2).sum(1)
    return rows[::2] + rows[1::2]


def gini(values: FloatArray) -> float:
    """Gini coefficient: how unequally a total is shared out.

    Of values x₁ ≤ … ≤ xₙ it is Σᵢ (2i − n − 1) xᵢ / (n Σᵢ xᵢ), half the mean absolute difference
    over the mean: 0 if all are equal, 1 − 1/n if one holds everything.

    Args:
        values: (n,), none negative, not all zero.

    Raises:
        ValueError: if values are negative, or all zero, or none.
    """
    ordered = np.sort(values)
    n = len(ordered)
    if n == 0 or ordered[0] < 0 or ordered[-1] == 0:
        raise ValueError(
            "a Gini coefficient needs values of at least 0, not all 0; got "
            + (f"{n} from {ordered[0]} to {ordered[-1]}" if n else "none")
        )
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * ordered).sum() / (n * ordered.sum()))


def key_frequencies(matrix: FloatArray, *, level: float = 0.01) -> IntArray:
    """Frequencies with more power than any would have if the residues were labelled at random.

    The residues, rows of the matrix, are permuted 999 times (always the same), and each time the
    largest power of any frequency is taken; k is key if no more than a share ``level`` of the 1,000
    arrangements, the given one among them, has a largest power of at least k's. Where the order of
    the rows means nothing, as before training, some frequency is called key with probability at
    most ``level`` *for all frequencies together*, whatever the distribution of the entries and
    however few directions hold them (the single-step maximum test of Westfall & Young 1993).

    A key frequency dominates: permuting keeps the singular values, so power is judged against the
    whole, and weaker frequencies, real as they may be, are not key beside a few strong ones. In a
    Gaussian matrix of p = 113 and high rank about 1.3 times the mean power is needed, in one of
    rank 10 about 2.4 times. For p ≤ 5 no frequency can be key: there are too few permutations.

    Args:
        matrix: (p, m), a row for each residue, p odd: token embeddings without that of "=", the
            unembedding, or the logits with a row for each class, `centred_logits(logits)
            .reshape(-1, p).T`. (Not `sum_profile`: before training its rows are no random order,
            as sums share their residues, and many frequencies would be key.)
        level: in (0, 1), family-wise.

    Returns:
        Key frequencies, ascending, int64; possibly none.

    Raises:
        ValueError: if the level is not in (0, 1), or p is even or less than 3.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must be between 0 and 1")
    p = len(matrix)
    waves = fourier_basis(p)[1::2, : p // 2 + 1] * (2 / p) ** 0.5
    waves[:, 1:] *= 2
    shifts = (np.arange(p // 2 + 1)[:, None] + np.arange(p)) % p
    centred = matrix - matrix.mean(0)
    gram = centred @ centred.T

    def power(order: IntArray) -> FloatArray:
        # Wiener–Khinchin: the cosine transform of the autocorrelation, and that is symmetric.
        return waves @ gram[order, order[shifts]].sum(1)

    rng = np.random.default_rng(0)
    given = power(np.arange(p))
    largest = np.array([power(rng.permutation(p)).max() for _ in range(RELABELLINGS)])
    # Some permutations only permute the frequencies: equal up to rounding, and so as large.
    as_large = 1 + (largest >= given[:, None] * (1 - 1e-9)).sum(1)
    return np.flatnonzero(as_large <= level * (RELABELLINGS + 1)) + 1


def centred_logits(logits: FloatArray) -> FloatArray:
    """Logits of the p residues less their mean over the residues, for each pair.

    Softmax does not see that mean, so it is no part of what a network says. A logit for "=" is left
    out: it is never the answer.

    Args:
        logits: (p, p, C) of all pairs (a, b), C ≥ p, classes c = 0 … p − 1 first.

    Returns:
        (p, p, p) float64.

    Raises:
        ValueError: if the shape is another, or p even or less than 3.
    """
    kept = np.asarray(logits, np.float64)[..., : modulus(logits)]
    return kept - kept.mean(2, keepdims=True)


def sum_profile(logits: FloatArray) -> FloatArray:
    """Mean logits over the p pairs of each sum.

    S[s, c] = (1/p) Σₐ L[a, s − a, c] is all of the logits that depends on a + b alone: L's
    orthogonal projection on functions of (a + b) mod p is S[(a + b) mod p].

    Args:
        logits: (p, p, C) of all pairs (a, b).

    Returns:
        (p, C) float64.

    Raises:
        ValueError: if the shape is another, or p even or less than 3.
    """
    a = np.arange(modulus(logits))
    return np.asarray(logits, np.float64)[a, a[:, None] - a].mean(1)


def logit_power(logits: FloatArray) -> FloatArray:
    """Share of the logits' variance in each of the waves cos(2πk(a + b − c)/p).

    Logits that read the answer off by Fourier multiplication are a sum of these (Nanda et al. 2023,
    section 4). They are orthogonal to each other and have mean 0 over c; so with L the
    `centred_logits`, whose variance over a, b and c is ‖L‖²/p³, the share of k is
    ⟨L, u_k⟩² / ‖L‖² with u_k the wave at unit norm.

    Args:
        logits: (p, p, C) of all pairs (a, b), C ≥ p, classes c = 0 … p − 1 first.

    Returns:
        ((p − 1)/2,) for frequencies 1 … (p − 1)/2, each in [0, 1], as is their sum.

    Raises:
        ValueError: if the shape is another, p even or less than 3, or all logits of every pair are
            equal.
    """
    centred = centred_logits(logits)
    total = (centred**2).sum()
    if total == 0:
        raise ValueError("logits that are equal for every pair have no variance to share out")
    p = len(centred)
    profile = sum_profile(centred)
    s = np.arange(p)
    # Σ over s of S[s, s − d]: what depends on d = a + b − c alone.
    differences = profile[s, s - s[:, None]].sum(1)
    return (fourier_basis(p)[1::2] @ differences) ** 2 / total


def explained_variance(logits: FloatArray, frequencies: IntArray) -> float:
    """Share of the logits' variance in the waves cos(2πk(a + b − c)/p) of some frequencies.

    The sum of their `logit_power`; 95% in Nanda et al. 2023, for the key ones.

    Raises:
        ValueError: as `logit_power`, or if a frequency is not in 1 … (p − 1)/2 or named twice.
    """
    shares = logit_power(logits)
    return float(shares[wave_rows(frequencies, modulus(logits))[::2] // 2].sum())


def wave_rows(frequencies: IntArray, p: int) -> IntArray:
    """Rows 2k − 1 and 2k of `fourier_basis` for each frequency k, in order.

    Raises:
        ValueError: if a frequency is not in 1 … (p − 1)/2 or named twice.
    """
    k = np.asarray(frequencies, np.int64)
    if (k.size and (k.min() < 1 or k.max() > p // 2)) or len(np.unique(k)) < k.size:
        raise ValueError(f"frequencies {k.tolist()}: must be different and from 1 to {p // 2}")
    return np.stack([2 * k - 1, 2 * k], 1).ravel()


def modulus(logits: FloatArray) -> int:
    """The p of logits of all pairs, (p, p, C).

    Raises:
        ValueError: if the shape is another, C < p, or p even or less than 3.
    """
    shape = np.shape(logits)
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] < shape[0]:
        raise ValueError(f"logits of shape {shape}: must be (p, p, C) with C ≥ p")
    if shape[0] < 3 or shape[0] % 2 == 0:
        raise ValueError(f"p={shape[0]}: must be odd and at least 3")
    return shape[0]
