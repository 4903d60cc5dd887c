"""What moving the weights does to a network's function, and at which frequencies of its classes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdlib.curvature.responses import pushed
from hdlib.measures.fourier import fourier_basis

FloatArray = NDArray[np.float64]

TOGETHER = 4
"""Directions at a time."""


def output_changes(
    model: nn.Module, inputs: Tensor, directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """J v: the derivative of a network's outputs along directions in the space of its weights.

    A direction that lies in one part of the weights may move any part of the function, and one that
    is spread over all of them a single part; this is what it does.

    Args:
        model: P trained parameters, in the precision that is wanted.
        inputs: n of them.
        directions: (P, m).

    Returns:
        (m, n, C) float64, C outputs for each input.

    Raises:
        ValueError: if the directions do not have P entries.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    size = sum(parameter.numel() for parameter in parameters)
    if directions.ndim != 2 or len(directions) != size:
        raise ValueError(f"directions must be ({size}, m), got {directions.shape}")
    outputs = model(inputs)
    block = torch.from_numpy(directions.T.copy()).to(outputs)
    sizes = [parameter.numel() for parameter in parameters]
    changes = []
    for some in block.split(TOGETHER):
        shaped = [
            part.reshape(len(some), *parameter.shape)
            for part, parameter in zip(some.split(sizes, 1), parameters, strict=True)
        ]
        changes.append(pushed(outputs, parameters, shaped).detach())
    return torch.cat(changes).double().cpu().numpy()


def class_frequencies(changes: FloatArray, p: int) -> FloatArray:
    """Share of each frequency in changes of the logits, as functions of the class.

    For each input a change of its logits is a function of the class c = 0 … p − 1; its energy at
    frequency k is that of its projection on cos(2πkc/p) and sin(2πkc/p), added up over all inputs.
    The constant, which softmax does not see, is left out.

    Args:
        changes: (m, n, C), C ≥ p; classes 0 … p − 1 first.
        p: odd.

    Returns:
        (m, (p − 1)/2) for the frequencies 1 … (p − 1)/2; rows sum to 1.

    Raises:
        ValueError: if p is even or less than 3, C < p, or the logits of all classes change alike.
    """
    if changes.ndim != 3 or changes.shape[2] < p:
        raise ValueError(f"changes must be (m, n, C) with C ≥ {p}, got {changes.shape}")
    centred = changes[..., :p] - changes[..., :p].mean(2, keepdims=True)
    power = ((centred @ fourier_basis(p)[1:].T) ** 2).sum(1)
    energy = power[:, ::2] + power[:, 1::2]
    total = energy.sum(1, keepdims=True)
    if not total.all():
        raise ValueError("changes that are equal for all classes have no frequencies")
    return energy / total


def concentration(changes: FloatArray) -> FloatArray:
    """Largest share of a row's absolute sum, (m,); NaN where nothing changes."""
    sizes = np.abs(changes)
    total = sizes.sum(axis=1)
    return np.divide(sizes.max(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
