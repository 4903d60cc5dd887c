"""Whether eigenvalues repel: spacings of one spectrum, and of several laid over one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

INDEPENDENT_RATIO = 2 * np.log(2) - 1
"""Mean spacing ratio of independent eigenvalues (Atas et al. 2013)."""
GOE_RATIOS = (0.5307, 0.4235)
"""Mean spacing ratio of one real symmetric random matrix (Atas et al. 2013, table I), and of two
laid over one another (Giraud et al. 2022)."""
TIGHTEST = 0.05


class Neighbours(NamedTuple):
    """How eigenvalues with labels lie beside one another; NaN where there is nothing to count.

    Attributes:
        ratio: mean spacing ratio r.
        different: P(two neighbours have different labels).
        tightest: that probability among the tightest 5% of the spacings.
        by_decile: that probability in each tenth of the spacings, (10,), the tightest first.
        wider: P(a spacing at a change of label > a spacing within a label), of equals one half; ½
            where spacings tell nothing about labels, above it where gaps part the labels.
    """

    ratio: float
    different: float
    tightest: float
    by_decile: FloatArray
    wider: float


def spacing_ratio(spacings: FloatArray) -> float:
    """Mean ratio r of neighbouring spacings, the smaller over the larger (Oganesyan & Huse 2007).

    It tells whether eigenvalues repel, whatever their density: 2 log 2 − 1 = 0.386 where they are
    independent, 0.531 in real symmetric random matrices, 0.423 in two of these laid over one
    another (Atas et al. 2013; Giraud et al. 2022).

    Args:
        spacings: (..., K), K ≥ 2, not negative, in the order of the spectrum: ``np.diff`` of sorted
            eigenvalues. Zeros and copies that a symmetry makes do not belong in it.

    Raises:
        ValueError: if there are fewer than two, or two neighbouring ones are zero.
    """
    left, right = spacings[..., :-1], spacings[..., 1:]
    larger = np.maximum(left, right)
    if not larger.size or (larger <= 0).any():
        raise ValueError(
            "a spacing ratio needs two spacings, and of neighbouring ones one that is not zero: "
            "leave out the copies that a symmetry makes"
        )
    return float((np.minimum(left, right) / larger).mean())


def neighbours(eigenvalues: ArrayLike, labels: ArrayLike) -> Neighbours:
    """Whether neighbouring eigenvalues have the same label, by how far they are apart.

    Args:
        eigenvalues: (n,) real, in any order, n ≥ 11. Those that a symmetry makes zero belong to no
            label, and are to be left out, say by |λ| > 10⁻⁹ of the largest.
        labels: (n,) of any kind.

    Raises:
        ValueError: if sizes do not fit, values are not finite, or three of them are equal.
    """
    values, labels = np.asarray(eigenvalues, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != labels.shape or len(values) < 11:
        raise ValueError(
            "eigenvalues and labels must be two vectors of one length, at least 11, got "
            f"{values.shape} and {labels.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("eigenvalues must be finite")
    order = np.argsort(values, kind="stable")
    spacings = np.diff(values[order])
    changes = labels[order][1:] != labels[order][:-1]
    tight_first = changes[np.argsort(spacings, kind="stable")]
    return Neighbours(
        ratio=spacing_ratio(spacings),
        different=float(changes.mean()),
        tightest=float(tight_first[: max(1, round(TIGHTEST * len(changes)))].mean()),
        by_decile=np.array([part.mean() for part in np.array_split(tight_first, 10)]),
        wider=_wider(spacings[changes], spacings[~changes]),
    )


def laid_over(
    sizes: Sequence[int], *, samples: float | None = None, draws: int = 20, seed: int = 0
) -> Neighbours:
    """What `neighbours` finds, on average, in independent random matrices laid over one another.

    No parameter is fitted: eigenvalues of one matrix repel each other, those of different ones do
    not know of each other.

    Args:
        sizes: number of eigenvalues from each matrix.
        samples: for Wishart matrices XᵀX, as a Gauss–Newton matrix is one, the number of rows of X
            over that of its columns, more than 1; for real symmetric matrices (GOE) None. Each is
            scaled so that all spectra fill the same interval.
        draws: number of simulated unions.
        seed: seed of the draws.

    Returns:
        Means over the draws.

    Raises:
        ValueError: for sizes that are not positive or fewer than 11 in all, ``samples`` ≤ 1, or no
            draws.
    """
    if not sizes or min(sizes) < 1 or sum(sizes) < 11:
        raise ValueError(f"sizes must be positive and at least 11 in all, got {list(sizes)}")
    if samples is not None and samples <= 1:
        raise ValueError(f"samples={samples}: more than 1 for each column are needed")
    if draws < 1:
        raise ValueError(f"draws={draws}: must be at least 1")
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = []
    for _ in range(draws):
        spectra = [_random_spectrum(size, samples, generator) for size in sizes]
        found.append(neighbours(np.concatenate(spectra), labels))
    ratio, different, tightest, _, wider = (np.array(part) for part in zip(*found, strict=True))
    return Neighbours(
        ratio=float(ratio.mean()),
        different=float(different.mean()),
        tightest=float(tightest.mean()),
        by_decile=np.mean([each.by_decile for each in found], axis=0),
        wider=float(wider.mean()),
    )


def _wider(changing: FloatArray, within: FloatArray) -> float:
    """P(one of the first > one of the second), of equals one half (Mann & Whitney 1947)."""
    if not len(changing) or not len(within):
        return float("nan")
    ordered = np.sort(within)
    below = np.searchsorted(ordered, changing, "left") + np.searchsorted(ordered, changing, "right")
    return float(below.mean() / (2 * len(within)))


def _random_spectrum(
    size: int, samples: float | None, generator: np.random.Generator
) -> FloatArray:
    if samples is None:
        matrix = generator.standard_normal((size, size))
        return np.linalg.eigvalsh(matrix + matrix.T) / size**0.5
    rows = generator.standard_normal((round(samples * size), size))
    return np.linalg.eigvalsh(rows.T @ rows) / len(rows)
