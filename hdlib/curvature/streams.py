"""Random numbers of a purpose."""

from __future__ import annotations

import numpy as np
import torch


def stream(purpose: str, seed: int) -> torch.Generator:
    """A generator on the CPU whose numbers no other purpose has, whatever the seeds.

    Two methods that draw from one seed must not draw the same vectors. What a search finds of a
    repeated eigenvalue is where its own random start points within the eigenspace; probes that
    are the same vectors have nothing left there once the pairs are deflated, however many copies
    the search has missed.

    Args:
        purpose: a word.
        seed: not negative.

    Raises:
        ValueError: if it is.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    entropy = [seed, *purpose.encode()]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
