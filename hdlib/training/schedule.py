"""At which steps checkpoints are kept, and in which order they are measured."""

from __future__ import annotations

import numpy as np

EARLY_STEPS = (0, 10, 50, 100, 200)
EVERY_EPOCH_UNTIL = 10


def checkpoint_steps(n_epochs: int, steps_per_epoch: int) -> list[int]:
    """Checkpoints dense at the start: the loss surface changes most in the first epochs.

    Steps 0, 10, 50, 100 and 200, the end of each epoch to the tenth, of every second one after it,
    and of the last; those beyond the end left out.

    Args:
        n_epochs: ≥ 1.
        steps_per_epoch: ≥ 1.

    Returns:
        Ascending steps; 25 for 30 epochs of 469 steps.

    Raises:
        ValueError: if an argument is not positive.
    """
    if n_epochs < 1 or steps_per_epoch < 1:
        raise ValueError(
            f"epochs and steps must be at least 1, got {n_epochs} of {steps_per_epoch} steps"
        )
    epochs = {
        epoch
        for epoch in range(1, n_epochs + 1)
        if epoch <= EVERY_EPOCH_UNTIL or epoch % 2 == 0 or epoch == n_epochs
    }
    ends = {epoch * steps_per_epoch for epoch in epochs}
    return sorted(ends | {step for step in EARLY_STEPS if step <= n_epochs * steps_per_epoch})


def grokking_steps(n_steps: int) -> list[int]:
    """Checkpoints for a long full-batch run that may generalise at any time.

    Steps 0, 10, 50, 100, 200 and 500, every 100 to 5,000, every 500 to 15,000, every 1,000 beyond,
    and the last; those beyond the end left out.

    Args:
        n_steps: ≥ 1.

    Returns:
        Ascending steps; 73 for 17,000.

    Raises:
        ValueError: if ``n_steps`` is not positive.
    """
    if n_steps < 1:
        raise ValueError(f"n_steps={n_steps}: must be at least 1")
    regular = {*range(600, 5_000, 100), *range(5_000, 15_000, 500), *range(15_000, n_steps, 1_000)}
    early = {*EARLY_STEPS, 500}
    return sorted({step for step in early | regular if step < n_steps} | {n_steps})


def coarse_to_fine(steps: list[int]) -> list[int]:
    """The last, the first, and then always the middle of what is left between two, widest first.

    So a run that is cut short has spectra from all of training.
    """
    order = [len(steps) - 1, 0][: len(steps)]
    while len(order) < len(steps):
        known = np.sort(order)
        widest = int(np.diff(known).argmax())
        order.append(int(known[widest] + known[widest + 1]) // 2)
    return [steps[index] for index in order]
