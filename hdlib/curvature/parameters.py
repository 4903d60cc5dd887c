"""Which parameters of a model lie where in its parameter vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hdlib.curvature.inputs.selection import selected

Numbers = TypeVar("Numbers", Tensor, NDArray[np.float64])


def parameter_layers(model: nn.Module) -> dict[str, NDArray[np.int64]]:
    """Indices into the parameter vector θ for each layer.

    A layer is a module with parameters of its own, named by its path; θ holds the parameters that
    require grad, in the order of `named_parameters`, flattened row-major.
    """
    layers: dict[str, list[NDArray[np.int64]]] = {}
    start = 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            layer = name.rpartition(".")[0] or type(model).__name__
            layers.setdefault(layer, []).append(np.arange(start, start + parameter.numel()))
            start += parameter.numel()
    return {layer: np.concatenate(indices) for layer, indices in layers.items()}


def layer_blocks(matrix: Tensor, model: nn.Module) -> dict[tuple[str, str], Tensor]:
    """Blocks of a (P, P) matrix for each pair of layers; a copy of each.

    Raises:
        ValueError: if the matrix is not P × P.
    """
    layers = parameter_layers(model)
    size = sum(map(len, layers.values()))
    if matrix.shape != (size, size):
        raise ValueError(f"the matrix must be {size} × {size}, got {tuple(matrix.shape)}")
    return {
        (row, column): matrix[rows][:, columns]
        for row, rows in layers.items()
        for column, columns in layers.items()
    }


def layer_weights(vectors: NDArray[np.float64], model: nn.Module) -> NDArray[np.float64]:
    """Each vector's weight per layer: the squared norm of its part there, over its whole.

    Args:
        vectors: (P, m) columns, none of them zero.
        model: module with P parameters that require grad.

    Returns:
        (m, layers), rows summing to 1, layers in the order of `parameter_layers`.

    Raises:
        ValueError: if the vectors do not have P entries.
    """
    layers = parameter_layers(model)
    size = sum(map(len, layers.values()))
    if vectors.ndim != 2 or len(vectors) != size:
        raise ValueError(f"vectors must be ({size}, m), got {vectors.shape}")
    squares = np.column_stack([(vectors[rows] ** 2).sum(0) for rows in layers.values()])
    return squares / squares.sum(1, keepdims=True)


def in_shapes(
    vectors: Numbers, model: nn.Module, *, parameters: Sequence[str] | None = None
) -> dict[str, Numbers]:
    """Vectors over the parameter vector θ, such as eigenvectors, in the shapes of the parameters.

    Args:
        vectors: (P, m) columns, or one vector (P,); a tensor or an array.
        model: module with P parameters that require grad, in the order of `named_parameters`.
        parameters: names of parameters or modules, where θ holds only these.

    Returns:
        name → (m, *shape) of the parameter, or *shape* for one vector; views of ``vectors`` where
        that can be.

    Raises:
        ValueError: if the vectors do not have P entries, or there is no such parameter.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> {name: part.tolist() for name, part in in_shapes(np.arange(3.0), model).items()}
        {'weight': [[0.0, 1.0]], 'bias': [2.0]}
    """
    chosen = selected(model, parameters)
    size = sum(parameter.numel() for parameter in chosen.values())
    if vectors.ndim not in (1, 2) or len(vectors) != size:
        raise ValueError(f"vectors must be ({size},) or ({size}, m), got {tuple(vectors.shape)}")
    shaped, start = {}, 0
    for name, parameter in chosen.items():
        rows = vectors[start : start + parameter.numel()]
        columns = rows.T if rows.ndim == 2 else rows
        shaped[name] = columns.reshape(*rows.shape[1:], *parameter.shape)
        start += parameter.numel()
    return shaped
