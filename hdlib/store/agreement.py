"""How far what is stored and what is recomputed are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hdlib.store.stage import Agreement


def agreement(
    **allowed: float,
) -> Callable[[Mapping[str, NDArray], Mapping[str, NDArray]], list[Agreement]]:
    """A comparison of arrays: the largest difference over the largest stored entry.

    Args:
        allowed: for the name of each array that is compared, the largest difference that counts as
            rounding.
    """

    def compare(
        stored: Mapping[str, NDArray], recomputed: Mapping[str, NDArray]
    ) -> list[Agreement]:
        return [
            Agreement(name, difference(stored[name], recomputed[name]), most)
            for name, most in allowed.items()
            if name in recomputed
        ]

    return compare


def difference(stored: NDArray, recomputed: NDArray) -> float:
    """Largest |Δ| over the largest stored entry; ∞ where shapes or missing entries differ."""
    a, b = np.asarray(stored, np.float64), np.asarray(recomputed, np.float64)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    known = np.isfinite(a)
    scale = np.abs(a[known]).max(initial=0.0)
    return float(np.abs(a[known] - b[known]).max(initial=0.0) / (scale or 1.0))
