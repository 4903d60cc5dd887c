"""What eigenvectors change at moves of several lengths, and how near that is to what J v says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.spectra import DOSES, LEADING
from hdlib.measures.functions import output_changes
from hdlib.measures.moves import moved
from hdlib.measures.purity import frequency_curvatures, neighbour_purities
from hdlib.models import ModularTransformer

Array = NDArray[np.float64]

TOGETHER = 4
"""Neighbours in the largest cluster along which weights are moved."""
EVERY = 7
"""Of all pairs, one in so many is looked at."""


def dose_measures(
    config: GrokkingConfig, model: ModularTransformer, vectors: NDArray[np.float32]
) -> dict[str, NDArray]:
    """Purity of what moves of the weights change in the logits, at each dose and in the limit.

    A move θ ± δ along a direction, ‖δ‖ = dose ‖θ‖, changes the logits by Δ±; both signs count. In
    place of the responses J v these changes give the curvatures of frequencies, and so the purity
    of a direction and of a cluster of neighbours; the limit of a small dose is that of `purity`.
    How far it is from there is ‖Δ± ∓ Jδ‖ / ‖Jδ‖, over both signs, of logits less their mean.

    Args:
        config: task.
        model: network at a checkpoint; it comes back in double precision.
        vectors: (P, m), leading eigenvectors, the largest eigenvalue's first; 12 are moved along.

    Returns:
        For ``eigenvectors``, a random basis ``rotated`` of the same span of 12, and ``random``
        directions: ``…_purity`` (D + 1, 4, 12), of clusters of 1 … 4 neighbours from each rank, the
        limit first and then the doses, ascending; ``…_frequency``, of the same shape; and
        ``…_departure`` (D, 12).
    """
    generator = np.random.default_rng(0)
    leading = vectors[:, :LEADING].astype(np.float64)
    rotation, _ = np.linalg.qr(generator.standard_normal((leading.shape[1],) * 2))
    random = generator.standard_normal(leading.shape)
    kinds = {
        "eigenvectors": leading,
        "rotated": leading @ rotation,
        "random": random / np.linalg.norm(random, axis=0),
    }
    found = {}
    for name, directions in kinds.items():
        purity, frequency, departure = _series(config, model, directions)
        found[f"{name}_purity"] = purity.astype(np.float32)
        found[f"{name}_frequency"] = frequency.astype(np.int16)
        found[f"{name}_departure"] = departure.astype(np.float32)
    return found


def _series(
    config: GrokkingConfig, model: ModularTransformer, directions: Array
) -> tuple[Array, NDArray[np.int64], Array]:
    """Purity and frequency at the limit and at each dose, and departure from the limit."""
    p, tokens = config.p, config.task.grid.tokens()[::EVERY].to(model.embedding.device)
    norm = sum(float(part.detach().double().square().sum()) for part in model.parameters()) ** 0.5
    slope = _centred(output_changes(model.double(), tokens, directions), p)

    def logits(network: ModularTransformer) -> Array:
        return network(tokens).cpu().numpy()

    purities = [neighbour_purities(frequency_curvatures(slope, p), TOGETHER)]
    departures = []
    for dose in DOSES:
        origin, forth, back = (
            _centred(at, p) for at in moved(model, logits, directions, dose=dose)
        )
        forth, back, linear = forth - origin, back - origin, dose * norm * slope
        changes = np.concatenate([forth, back], axis=1)
        purities.append(neighbour_purities(frequency_curvatures(changes, p), TOGETHER))
        apart = ((forth - linear) ** 2 + (back + linear) ** 2).sum((1, 2))
        departures.append(np.sqrt(apart / (2 * linear**2).sum((1, 2))))
    values, frequencies = zip(*purities, strict=True)
    return np.stack(values), np.stack(frequencies), np.stack(departures)


def _centred(logits: NDArray[np.floating], p: int) -> NDArray[np.floating]:
    """Logits of the residues less their mean, which softmax does not see."""
    kept = logits[..., :p]
    return kept - kept.mean(-1, keepdims=True)
