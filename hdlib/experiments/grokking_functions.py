"""What the leading eigenvectors of the grokking experiment do to the network's function."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking_config import GrokkingConfig
from hdlib.experiments.grokking_measures import responses
from hdlib.experiments.grokking_spectrum import leading_vectors
from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.models.transformer import ModularTransformer

LEADING = 12
"""Eigenvectors looked at, of the largest eigenvalues."""
DOSES = (0.0003, 0.001, 0.003, 0.01)
"""How far the weights are moved, as shares of their norm."""


def function_measures(
    config: GrokkingConfig, model: ModularTransformer, frequencies: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Changes of the function along eigenvectors, and along two kinds of random directions.

    Args:
        config: of the task and the Hessian.
        model: at a checkpoint; it comes back in double precision.
        frequencies: key frequencies of the last checkpoint, K.

    Returns:
        ``energy`` (12, (p − 1)/2), the share of each frequency of the class in J v over all pairs,
        the largest eigenvalue's first; ``random_energy``, the same of random directions, and
        ``rotated_energy`` of a random basis of the space of the eigenvectors; ``responses`` and
        ``random_responses`` (doses, 12, K), changes of the losses restricted to one key frequency.
    """
    vectors = leading_vectors(config, model, LEADING).copy()
    generator = np.random.default_rng(0)
    random = generator.standard_normal(vectors.shape)
    random /= np.linalg.norm(random, axis=0)
    rotation, _ = np.linalg.qr(generator.standard_normal((LEADING, LEADING)))
    tokens = config.task.grid.tokens().to(model.embedding.device)
    changes = output_changes(model.double(), tokens, vectors)
    energies = {
        "energy": changes,
        "random_energy": output_changes(model, tokens, random),
        "rotated_energy": np.einsum("kj,kno->jno", rotation, changes),
    }
    moves = {"responses": vectors, "random_responses": random}
    return {
        name: class_frequencies(found, config.p).astype(np.float32)
        for name, found in energies.items()
    } | {
        name: np.stack(
            [responses(model, config.task, frequencies, along, dose=dose) for dose in DOSES]
        )
        for name, along in moves.items()
    }
