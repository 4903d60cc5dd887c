"""What is measured of a network at a checkpoint: its leading eigenvectors, and its circuit."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.curvature import HessianOperator, lanczos
from hdlib.experiments.onset.config import OnsetConfig
from hdlib.measures.fourier import logit_power
from hdlib.measures.pairs import grid_logits
from hdlib.measures.progress import progress
from hdlib.measures.purity import direction_shares, frequency_dimensions, span_curvatures
from hdlib.models import ModularTransformer

DRAWS = 5
"""Random bases of the span of the eigenvectors."""


def spectrum(
    config: OnsetConfig, model: ModularTransformer, frequencies: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Leading eigenpairs over all training pairs, and the frequencies that they move.

    Args:
        config: task, and settings of the search.
        model: network at a checkpoint; it comes back in single precision.
        frequencies: (K,), key frequencies of the last checkpoint.

    Returns:
        ``eigenvalues`` (m,), descending, and their ``residuals``; ``dimensions`` (m, K, 2), the two
        largest `frequency_dimensions` of each key frequency in the span of the r = 1 … m leading
        eigenvectors; ``rotated`` (5, m, K, 2), the same of random bases of the span of all, and
        ``relabelled`` (m, K, 2), with the residues in a random order; ``shares``
        (m, (p − 1)/2), of each frequency in the response to each eigenvector.
    """
    train, device = config.task.train, model.embedding.device
    data = train.tokens().to(device), train.targets.to(device)
    exact, search = (
        HessianOperator(model, F.cross_entropy, data, dtype=dtype)
        for dtype in (torch.float64, torch.float32)
    )
    found = lanczos(exact, search=search, top=config.eigenpairs, bottom=0, tol=config.tol)
    generator = np.random.default_rng(0)
    order = generator.permutation(config.p)
    tokens = config.task.grid.tokens().to(device)
    curvatures, relabelled = span_curvatures(
        model.float(), tokens, found.top(config.eigenpairs), config.p, orders=[order]
    )
    m, keys = config.eigenpairs, frequencies - 1
    bases = [np.linalg.qr(generator.standard_normal((m, m)))[0] for _ in range(DRAWS)]
    arrays = {
        "dimensions": _leading(curvatures, keys),
        "rotated": np.stack([_leading(q.T @ curvatures @ q, keys) for q in bases]),
        "relabelled": _leading(relabelled, keys),
        "shares": direction_shares(curvatures),
    }
    return {name: values.astype(np.float16) for name, values in arrays.items()} | {
        "eigenvalues": found.eigenvalues[::-1].copy(),
        "residuals": found.residuals[::-1].copy(),
    }


def _leading(curvatures: NDArray[np.float64], keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """The two largest dimensions of frequencies in the span of the first r directions, (m, K, 2).

    Where there is one direction the second is 0.
    """
    m = curvatures.shape[1]
    found = np.zeros((m, len(keys), 2))
    for r in range(1, m + 1):
        largest = frequency_dimensions(curvatures[:, :r, :r])[keys, :2]
        found[r - 1, :, : largest.shape[1]] = largest
    return found


def circuit(
    config: OnsetConfig, model: ModularTransformer, frequencies: NDArray[np.int64]
) -> dict[str, NDArray]:
    """What the circuit is made of, from the network's function.

    Args:
        config: task.
        model: network at a checkpoint; it comes back in double precision.
        frequencies: (K,), key frequencies of the last checkpoint.

    Returns:
        ``frequencies``; ``logit_power`` ((p − 1)/2,), of the waves cos(2πk(a + b − c)/p);
        ``restricted_loss``, ``excluded_loss`` (), and ``restricted_by_frequency`` (K,).
    """
    task = config.task
    logits = grid_logits(model, task)
    found = progress(logits, frequencies, a=task.train.a.numpy(), b=task.train.b.numpy())
    return {
        "frequencies": frequencies,
        "logit_power": logit_power(logits).astype(np.float32),
        "restricted_loss": np.array(found.restricted),
        "excluded_loss": np.array(found.excluded),
        "restricted_by_frequency": found.restricted_by_frequency,
    }
