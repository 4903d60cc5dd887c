"""Learning rates that begin low."""

from __future__ import annotations

from collections.abc import Callable


def warm_up(n_steps: int) -> Callable[[int], float]:
    """A factor (t + 1)/n on the learning rate of update t < n, and 1 from then on.

    Args:
        n_steps: n ≥ 0.

    Returns:
        Number of earlier updates t ↦ factor.
    """
    return lambda t: min(1.0, (t + 1) / n_steps) if n_steps else 1.0
