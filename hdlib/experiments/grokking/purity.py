"""Which frequencies of the function eigenvectors move, alone and as clusters of neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.spectra import leading_pairs
from hdlib.measures.purity import (
    direction_shares,
    neighbour_purities,
    pair_purities,
    rotated_purities,
    span_curvatures,
)
from hdlib.models import ModularTransformer

SPAN = 60
"""Leading eigenvectors that are looked at: the span in which random directions are drawn."""
LARGEST = 12
"""Neighbouring eigenvectors in the largest cluster that is looked at."""
DRAWS = 19
"""Random bases of the span: with the eigenvectors 20, so that a level of 0.05 is exact."""
RELABELLINGS = 2
"""Random orders of the residues."""


def span_pairs(config: GrokkingConfig, model: ModularTransformer) -> dict[str, NDArray]:
    """Leading eigenpairs over all training pairs, certified to the config's tolerance.

    Returns:
        ``eigenvalues`` (m,), descending, and ``vectors`` (P, m) float32; m is 60, or half of P.
    """
    count = min(SPAN, config.n_parameters // 2)
    found = leading_pairs(config, model, count)
    return {
        "eigenvalues": found.eigenvalues[::-1].copy(),
        "vectors": found.top(count).astype(np.float32),
    }


def purity_measures(
    config: GrokkingConfig, model: ModularTransformer, vectors: NDArray[np.float32]
) -> dict[str, NDArray]:
    """Frequencies of the class that eigenvectors and clusters of neighbours move, and two nulls.

    Over all p² pairs, in single precision. The nulls: random bases of the span of the vectors, and
    the same vectors with the residues, as classes, in random orders.

    Args:
        config: task.
        model: network at a checkpoint; it comes back in single precision.
        vectors: (P, m), leading eigenvectors, the largest eigenvalue's first.

    Returns:
        ``shares`` (m, (p − 1)/2), of each frequency in the response to each eigenvector;
        ``moved`` (m,), mean over the pairs of the squared change of the logits; ``purity`` and
        ``frequency`` (12, m), of s = 1 … 12 neighbours from each rank, NaN and 0 beyond the last;
        ``pair_purity`` (m, m), of any two; ``rotated`` (19, 12, m) and ``relabelled`` (2, 12, m),
        as ``purity``, of random bases and in random orders of the residues.
    """
    generator = np.random.default_rng(0)
    orders = [generator.permutation(config.p) for _ in range(RELABELLINGS)]
    tokens = config.task.grid.tokens().to(model.embedding.device)
    curvatures, *others = span_curvatures(model.float(), tokens, vectors, config.p, orders=orders)
    purity, frequency = neighbour_purities(curvatures, LARGEST)
    found = {
        "shares": direction_shares(curvatures),
        "moved": np.diagonal(curvatures.sum(0)),
        "purity": purity,
        "pair_purity": pair_purities(curvatures),
        "rotated": rotated_purities(curvatures, LARGEST, draws=DRAWS),
        "relabelled": np.stack([neighbour_purities(other, LARGEST)[0] for other in others]),
    }
    return {name: values.astype(np.float32) for name, values in found.items()} | {
        "frequency": frequency.astype(np.int16)
    }
