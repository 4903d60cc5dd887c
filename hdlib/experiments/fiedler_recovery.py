"""What the Fiedler chapter shows of planted blocks: scores with their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.fiedler import NOISES, PARTITIONS, RECOVERY, FiedlerConfig
from hdlib.runs import Run

Array = NDArray[np.float64]

TREE, HALVED, OTHER = "normalised, ncut", "combinatorial, median", "SpectralClustering"
EQUAL = np.array([len(set(sizes)) == 1 for sizes in PARTITIONS])
KINDS = {"all": EQUAL | True, "equal": EQUAL, "unequal": ~EQUAL}


def scores(run: Run[FiedlerConfig], kind: str) -> dict[str, Array]:
    """Mean adjusted Rand index over the partitions of a kind, for each method (noises, seeds).

    With "difference", what the tree is ahead of spectral clustering on the same planted Hessians.
    """
    found = {name: values[KINDS[kind]].mean(0) for name, values in run.arrays(RECOVERY).items()}
    return found | {"difference": found[TREE] - found[OTHER]}


def standard_error(values: Array) -> Array:
    """Of the mean over the last axis."""
    return values.std(-1, ddof=1) / np.sqrt(values.shape[-1])


def recovery_table(run: Run[FiedlerConfig]) -> Markdown:
    """Mean over partitions and seeds ± its standard error, for each kind of partition and noise."""
    names = {
        TREE: "tree",
        OTHER: "spectral clustering",
        "difference": "difference",
        HALVED: "combinatorial and median",
    }
    rows = []
    for kind in KINDS:
        found = scores(run, kind)
        for i, noise in enumerate(NOISES):
            values = (found[name][i] for name in names)
            cells = (f"{round(v.mean(), 3) + 0.0:.3f} ± {standard_error(v):.3f}" for v in values)
            rows.append((kind, noise, *cells))
    return table(("partitions", "noise", *names.values()), rows)
