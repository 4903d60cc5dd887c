"""Where in a network's parameters eigenvectors lie: tensors, and frequencies of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hdlib.measures.fourier import fourier_basis


def tensor_weights(vectors: NDArray[np.float64], model: nn.Module) -> NDArray[np.float64]:
    """Each vector's weight per parameter tensor: the squared norm of its part there.

    Args:
        vectors: (P, m), unit columns.
        model: P trained parameters.

    Returns:
        (m, tensors), in the order of `named_parameters`; rows sum to 1.

    Raises:
        ValueError: if the vectors do not have P entries.
    """
    return np.column_stack([(part**2).sum(axis=(0, 1)) for part in _parts(vectors, model).values()])


def frequency_weights(
    vectors: NDArray[np.float64], model: nn.Module, *, tensor: str, p: int
) -> NDArray[np.float64]:
    """Each vector's weight per frequency of one tensor's rows, as functions of the residue.

    The subspace of frequency k are the matrices whose columns are combinations of the cosine and
    sine of 2πka/p; its share of a random direction is 2·columns/P.

    Args:
        vectors: (P, m), unit columns.
        model: P trained parameters.
        tensor: name of a parameter with a row for each residue 0 … p − 1 first.
        p: odd modulus.

    Returns:
        (m, (p + 1)/2): the constant, then frequencies 1 … (p − 1)/2.

    Raises:
        ValueError: if the vectors do not have P entries.
        KeyError: if there is no such tensor.
    """
    rows = _parts(vectors, model)[tensor][:p]
    waves = np.einsum("fa,acm->fcm", fourier_basis(p), rows)
    power = (waves**2).sum(1)
    return np.column_stack([power[0], *(power[1::2] + power[2::2])])


def _parts(vectors: NDArray[np.float64], model: nn.Module) -> dict[str, NDArray[np.float64]]:
    """Each tensor's part of the vectors, (rows, columns, m); a bias is one row."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    size = sum(parameter.numel() for parameter in trained.values())
    if vectors.ndim != 2 or len(vectors) != size:
        raise ValueError(f"vectors must be ({size}, m), got {vectors.shape}")
    parts, start = {}, 0
    for name, parameter in trained.items():
        part = vectors[start : start + parameter.numel()]
        parts[name] = part.reshape(-1, parameter.shape[-1], vectors.shape[1])
        start += parameter.numel()
    return parts
