"""What modules are compared with: layers, units and classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from hdlib.curvature import ParameterLabels

IntArray = NDArray[np.int64]


def label_sets(labels: ParameterLabels) -> dict[str, IntArray]:
    """Layers, units and classes: name → (n,) label of each parameter, −1 where it has none."""
    first, second, *_, last = labels.layers
    classes = np.where(labels.layer == labels.layers.index(last), labels.output, -1)
    return {
        "layers": labels.layer,
        f"units of {first}": labels.units(first),
        f"units of {second}": labels.units(second),
        f"classes of {last}": classes,
    }


def agreement(clusters: IntArray, labels: IntArray) -> float:
    """Adjusted Rand index of clusters and labels, among the parameters that have a label."""
    known = labels >= 0
    return float(adjusted_rand_score(labels[known], clusters[known]))
