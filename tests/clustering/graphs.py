"""Graphs and the tests' own Laplacians and cuts, from their definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LAPLACIANS = ("combinatorial", "normalised")
SPLITS = ("sign", "median", "sweep", "ncut")


def path(size: int) -> FloatArray:
    graph = np.zeros((size, size))
    nodes = np.arange(size - 1)
    graph[nodes, nodes + 1] = graph[nodes + 1, nodes] = 1
    return graph


def complete(size: int) -> FloatArray:
    return np.ones((size, size)) - np.eye(size)


def star(weights: FloatArray) -> FloatArray:
    """Node 0 coupled to each of the others."""
    graph = np.zeros((len(weights) + 1, len(weights) + 1))
    graph[0, 1:] = graph[1:, 0] = weights
    return graph


def two_cliques(first: int, second: int, bridge: float) -> FloatArray:
    """Two complete graphs, coupled between the last node of one and the first of the other."""
    graph = np.zeros((first + second, first + second))
    graph[:first, :first], graph[first:, first:] = complete(first), complete(second)
    graph[first - 1, first] = graph[first, first - 1] = bridge
    return graph


def random_graph(size: int, seed: int, *, density: float = 1.0, spread: float = 0.5) -> FloatArray:
    """Couplings |N(0, 1)| between nodes whose scales differ log-normally; some are missing."""
    rng = np.random.default_rng(seed)
    scale = np.exp(spread * rng.standard_normal(size))
    present = rng.random((size, size)) < density
    upper = np.triu(np.abs(rng.standard_normal((size, size))) * present, 1) * np.outer(scale, scale)
    return upper + upper.T


def laplacian_matrix(graph: FloatArray, laplacian: str) -> FloatArray:
    degrees = graph.sum(0)
    matrix = np.diag(degrees) - graph
    if laplacian == "normalised":
        matrix /= np.sqrt(np.outer(degrees, degrees))
    return matrix


def coupling_across(graph: FloatArray, part: NDArray[np.bool_]) -> float:
    return float(sum(graph[i, j] for i in np.flatnonzero(part) for j in np.flatnonzero(~part)))


def conductance(graph: FloatArray, part: NDArray[np.bool_]) -> float:
    volumes = graph[part].sum(), graph[~part].sum()
    return coupling_across(graph, part) / min(volumes)


def normalised_cut(graph: FloatArray, part: NDArray[np.bool_]) -> float:
    return coupling_across(graph, part) * (1 / graph[part].sum() + 1 / graph[~part].sum())
