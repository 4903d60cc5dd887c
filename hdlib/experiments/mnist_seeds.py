"""The MNIST experiment from two seeds: what holds in both?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.mnist import MnistConfig, run, spectrum_name
from hdlib.experiments.mnist_outliers import GAP_HEADER, gap_row
from hdlib.models import LeNetTiny

SEEDS = (MnistConfig(), MnistConfig(seed=43, n_epochs=1, sweep_checkpoints=0, draws=0))
"""The chapter's run, and the first epoch from another seed."""
ROUNDING = 1e-13
"""An eigenvalue below this part of the largest is zero, to rounding."""


def spectra(config: MnistConfig) -> dict[int, NDArray[np.float64]]:
    """Eigenvalues at each checkpoint of a run: step → (n,), ascending."""
    found = run(config)
    return {step: found.arrays(spectrum_name(step))["eigenvalues"] for step in config.checkpoints}


def zeros(eigenvalues: NDArray[np.float64]) -> int:
    """Number of eigenvalues that are zero to rounding."""
    size = np.abs(eigenvalues)
    return int((size < ROUNDING * size.max()).sum())


def symmetric_zeros(config: MnistConfig) -> int:
    """How many eigenvalues the invariance of softmax makes zero: weights and bias of one class.

    A vector added to all rows of the read-out changes no loss, at any weights.
    """
    return LeNetTiny(config.width).state_dict()["linear.weight"].shape[1] + 1


def gap_table() -> Markdown:
    """The gaps at the top of the spectrum, for each seed and checkpoint."""
    rows = [
        (config.seed, f"{step:,}", *gap_row(eigenvalues))
        for config in SEEDS
        for step, eigenvalues in spectra(config).items()
    ]
    return table(("seed", "step", *GAP_HEADER), rows)


def zero_table() -> Markdown:
    """Eigenvalues that are zero to rounding: the fewest and the most over the checkpoints."""
    rows = []
    for config in SEEDS:
        counts = [zeros(eigenvalues) for eigenvalues in spectra(config).values()]
        rows.append((config.seed, len(counts), symmetric_zeros(config), min(counts), max(counts)))
    header = ("seed", "checkpoints", "zero by the symmetry", "zero: fewest", "zero: most")
    return table(header, rows)
