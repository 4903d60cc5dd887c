"""Plain autograd, NumPy and SciPy: what claims are recomputed with, and none of our numerics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import laplacian
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Loss = Callable[[Tensor], Tensor]
"""Weights, all in one vector (P,) ↦ mean loss."""
# What is inferred of these from SciPy's source is not what they take.
eigsh: Any = scipy.sparse.linalg.eigsh
_operator: Any = LinearOperator


def flat(tensors: list[Tensor]) -> Tensor:
    """All entries of some tensors in one vector."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def shaped(theta: Tensor, *shapes: tuple[int, ...]) -> list[Tensor]:
    """A vector as tensors of these shapes, one after the other."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = theta.split(sizes)
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def gradient(loss: Loss, theta: Tensor) -> Array:
    """∇L, (P,)."""
    theta = theta.detach().requires_grad_()
    (slope,) = torch.autograd.grad(loss(theta), theta)
    return slope.double().numpy()


def hessian_operator(loss: Loss, theta: Tensor) -> LinearOperator:
    """v ↦ Hv: the gradient's scalar product with v, differentiated; in the precision of θ."""
    theta = theta.detach().requires_grad_()
    (slope,) = torch.autograd.grad(loss(theta), theta, create_graph=True)

    def product(v: Array) -> Array:
        direction = torch.from_numpy(v.reshape(-1)).to(theta)
        (image,) = torch.autograd.grad(slope, theta, direction, retain_graph=True)
        return image.double().numpy()

    return _operator((len(theta), len(theta)), matvec=product, dtype=np.float64)


def scaled_operator(operator: LinearOperator, scale: Array) -> LinearOperator:
    """v ↦ DHDv with D = diag(scale)."""
    return _operator(
        operator.shape,
        matvec=lambda v: scale * operator.matvec(scale * v.reshape(-1)),
        dtype=np.float64,
    )


def largest(
    operator: LinearOperator,
    k: int = 1,
    *,
    tol: float = 1e-4,
    start: ArrayLike | None = None,
    space: int = 8,
) -> tuple[Array, Array]:
    """The k largest eigenvalues, descending, (k,), and their vectors, (P, k), by ARPACK.

    In a space of 2k + 1 dimensions, or more where that is asked for.
    """
    n = operator.shape[0]
    first = np.random.default_rng(0).standard_normal(n)
    if start is not None:
        first = np.asarray(start, dtype=np.float64) + 0.1 * first / np.linalg.norm(first)
    values, vectors = eigsh(operator, k=k, ncv=max(2 * k + 1, space), which="LA", tol=tol, v0=first)
    order = np.argsort(values)[::-1]
    return values[order], vectors[:, order]


def dense_hessian(loss: Loss, theta: Tensor, alive: Labels) -> Array:
    """(m, m), of those parameters alone: forward derivatives of the gradient, column by column."""
    slope = torch.func.grad(loss)

    def column(v: Tensor) -> Tensor:
        return torch.func.jvp(slope, (theta,), (v,))[1]

    directions = torch.eye(len(theta)).to(theta)[alive]
    return torch.func.vmap(column, chunk_size=32)(directions).numpy()[:, alive]


def eigenvalues(matrix: Array) -> Array:
    """All of a symmetric matrix's, ascending, (n,)."""
    return np.linalg.eigvalsh(matrix).astype(np.float64)


def statistic(result: Any) -> Array:
    """That of one of SciPy's tests, whose results have no type that is known."""
    return np.asarray(result.statistic, np.float64)


def normalised_laplacian(matrix: Array) -> tuple[Array, Array]:
    """I − D^(−½)|A|D^(−½) of the couplings off the diagonal, and the square roots of degrees."""
    couplings = np.abs(matrix)
    np.fill_diagonal(couplings, 0)
    found, roots = laplacian(couplings, normed=True, return_diag=True)
    return found, roots


def fiedler_halves(matrix: Array) -> Labels:
    """(P,) 0 or 1: the sweep cut of least normalised cut along the Laplacian's second vector."""
    degrees = np.abs(matrix).sum(0) - np.abs(matrix.diagonal())
    found, roots = normalised_laplacian(matrix)
    _, vectors = scipy.linalg.eigh(found, subset_by_index=[0, 1])
    order = np.argsort(vectors[:, 1] / roots, kind="stable")
    couplings = np.abs(matrix)[np.ix_(order, order)]
    np.fill_diagonal(couplings, 0)
    # What is cut after i: links from the first i + 1 to all less twice those among them.
    volume = degrees[order].cumsum()
    cut = volume - 2 * np.tril(couplings, -1).sum(1).cumsum()
    ncut = cut[:-1] / volume[:-1] + cut[:-1] / (volume[-1] - volume[:-1])
    halves = np.zeros(len(matrix), dtype=np.int64)
    halves[order[: np.argmin(ncut) + 1]] = 1
    return halves


def cut_indices(values: Array, labels: ArrayLike) -> Array:
    """Adjusted Rand index of labels and each cut of sorted values into 2 … n clusters, (n − 1,).

    Single linkage on a line: the cut into k clusters is at the k − 1 widest gaps. The index counts
    pairs in the contingency table (Hubert & Arabie 1985).
    """
    order = np.argsort(values, kind="stable")
    hot = np.eye(int(np.max(labels)) + 1)[np.asarray(labels)[order]]
    widest = np.argsort(np.diff(values[order]), kind="stable")[::-1]
    n, squares = len(values), np.empty((len(values) - 1, 2))
    for cuts in range(1, n):
        table = np.add.reduceat(hot, np.r_[0, np.sort(widest[:cuts]) + 1])
        squares[cuts - 1] = (table**2).sum(), (table.sum(1) ** 2).sum()
    both, rows = (squares.T - n) / 2
    columns = float((hot.sum(0) ** 2).sum() - n) / 2
    chance = rows * columns / (n * (n - 1) / 2)
    return (both - chance) / ((rows + columns) / 2 - chance)


def spacing_ratio(values: Array) -> float:
    """Mean of the smaller over the larger of neighbouring spacings."""
    spacings = np.diff(np.sort(values))
    pair = np.stack([spacings[1:], spacings[:-1]])
    return float((pair.min(0) / pair.max(0)).mean())


def circular(values: Array) -> Array:
    """Energy at frequencies 1 … (p − 1)/2 along the last axis, of odd length p."""
    turns = np.arange(1, values.shape[-1] // 2 + 1)[:, None] * np.arange(values.shape[-1])
    waves = np.exp(2j * np.pi * turns.T / values.shape[-1])
    return (values @ waves.real) ** 2 + (values @ waves.imag) ** 2
