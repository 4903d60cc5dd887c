"""λ₂, its vector and its cuts against closed forms, SciPy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigh

from hdlib.clustering.fiedler import DENSE, bipartition, fiedler_vector
from hdlib.tasks import planted_hessian
from tests.clustering.graphs import (
    LAPLACIANS,
    SPLITS,
    complete,
    conductance,
    coupling_across,
    laplacian_matrix,
    normalised_cut,
    path,
    random_graph,
    star,
    two_cliques,
)

SMALL, LARGE = 30, DENSE + 50

sizes = pytest.mark.parametrize("size", [SMALL, LARGE])
laplacians = pytest.mark.parametrize("laplacian", LAPLACIANS)


def along(vector, expected):
    """|cos| of the angle between two vectors."""
    return abs(vector @ expected) / np.linalg.norm(vector) / np.linalg.norm(expected)


def is_partition(part, expected):
    return (part == expected).all() or (part == ~expected).all()


@sizes
def test_path(size):
    nodes = np.arange(size)
    found = fiedler_vector(path(size), "combinatorial")
    assert found.connectivity == pytest.approx(4 * np.sin(np.pi / (2 * size)) ** 2, rel=1e-10)
    assert along(found.vector, np.cos(np.pi * (nodes + 0.5) / size)) == pytest.approx(1, abs=1e-12)
    found = fiedler_vector(path(size), "normalised")
    assert found.connectivity == pytest.approx(2 * np.sin(np.pi / (2 * size - 2)) ** 2, rel=1e-10)
    assert along(found.vector, np.cos(np.pi * nodes / (size - 1))) == pytest.approx(1, abs=1e-12)


@sizes
@pytest.mark.parametrize("weight", [1e-6, 3.0])
def test_complete(size, weight):
    graph = weight * complete(size)
    assert fiedler_vector(graph, "combinatorial").connectivity == pytest.approx(size * weight)
    found = fiedler_vector(graph, "normalised")
    assert found.connectivity == pytest.approx(size / (size - 1))
    # Any vector of mean zero will do, but it must be one, and the same each time.
    assert abs(found.vector.sum()) < 1e-10 * np.abs(found.vector).max()
    np.testing.assert_array_equal(found.vector, fiedler_vector(graph, "normalised").vector)


@sizes
@laplacians
def test_star(size, laplacian):
    found = fiedler_vector(star(np.ones(size - 1)), laplacian)
    assert found.connectivity == pytest.approx(1)
    assert abs(found.vector[0]) < 1e-10 * np.abs(found.vector).max()


@sizes
def test_star_of_unequal_weights_sets_the_weakest_leaf_apart(size):
    weights = 1 + np.arange(size - 1) / 10
    found = fiedler_vector(star(weights), "combinatorial")
    assert weights[0] < found.connectivity < weights[1]
    expected = np.append(1, weights / (weights - found.connectivity))
    assert along(found.vector, expected) == pytest.approx(1, abs=1e-12)
    part, _, _ = bipartition(star(weights), found.vector, "sign")
    assert is_partition(part, np.arange(size) == 1)


@pytest.mark.parametrize("split", SPLITS)
def test_two_nodes(split):
    graph = np.array([[0, 0.25], [0.25, 0]])
    assert fiedler_vector(graph, "combinatorial").connectivity == pytest.approx(0.5)
    found = fiedler_vector(graph, "normalised")
    assert found.connectivity == pytest.approx(2)
    part, across, least = bipartition(graph, found.vector, split)
    assert sorted(part.tolist()) == [False, True]
    assert (across, least) == (0.25, 1)


def check_against_eigh(graph, laplacian):
    found = fiedler_vector(graph, laplacian)
    values, vectors = eigh(laplacian_matrix(graph, laplacian))
    assert found.connectivity == pytest.approx(values[1], rel=1e-9, abs=1e-13 * values[-1])
    assert np.abs(found.vector).max() == found.vector.max()
    if len(graph) > 2 and values[2] - values[1] < 1e-3 * values[-1]:
        return
    scale = 1 if laplacian == "combinatorial" else graph.sum(0) ** -0.5
    expected = vectors[:, 1] * scale
    assert along(found.vector, expected) == pytest.approx(1, abs=1e-9)
    expected *= np.sign(expected @ found.vector)
    for split in SPLITS:
        part, _, _ = bipartition(graph, found.vector, split)
        np.testing.assert_array_equal(part, bipartition(graph, expected, split)[0])


@given(st.integers(2, 30), st.integers(0, 10_000), st.sampled_from(LAPLACIANS))
def test_small_graphs_are_those_of_scipy(size, seed, laplacian):
    check_against_eigh(random_graph(size, seed), laplacian)


@laplacians
@pytest.mark.parametrize("spread", [0.2, 1.5])
def test_large_graphs_are_those_of_scipy(laplacian, spread):
    check_against_eigh(random_graph(LARGE, 0, spread=spread), laplacian)


@laplacians
@pytest.mark.parametrize("decades", [2, 8])
def test_eigenvalues_that_lie_close_together_are_those_of_scipy(laplacian, decades):
    """Of a matrix of rank one, which one sample gives, λ₂ is hardly below the others."""
    vector = 10 ** np.linspace(-decades, 0, LARGE)
    graph = np.outer(vector, vector)
    np.fill_diagonal(graph, 0)
    found = fiedler_vector(graph, laplacian)
    matrix = laplacian_matrix(graph, laplacian)
    values = eigh(matrix, eigvals_only=True)
    assert found.connectivity == pytest.approx(values[1], rel=1e-9, abs=1e-13 * values[-1])


@laplacians
def test_partition_of_blocks_is_that_of_scipy(laplacian):
    hessian, blocks = planted_hessian([LARGE - 60, 60], noise=0.2, seed=0)
    graph = np.abs(hessian)
    check_against_eigh(graph, laplacian)
    part, _, _ = bipartition(graph, fiedler_vector(graph, laplacian).vector, "ncut")
    assert is_partition(part, blocks == 0)


@sizes
@laplacians
@pytest.mark.parametrize("weak", [1e-14, 1e-16, 1e-25, 1e-200])
def test_couplings_below_rounding_are_cut_as_others(size, laplacian, weak):
    blocks = np.random.default_rng(0).permutation(np.arange(size) < size // 3)
    graph = random_graph(size, 0, spread=0) * np.where(blocks[:, None] == blocks, 1, weak)
    found = fiedler_vector(graph, laplacian)
    assert 0 <= found.connectivity < 1e-11
    for split in ("sign", "sweep", "ncut"):
        assert is_partition(bipartition(graph, found.vector, split)[0], blocks)


def prefixes(vector):
    """All the cuts of the nodes in the order of the vector."""
    ranks = np.argsort(np.argsort(vector, kind="stable"))
    return [ranks >= first for first in range(1, len(vector))]


@given(
    st.integers(2, 14),
    st.integers(0, 10_000),
    st.floats(0.2, 1),
    st.sampled_from(LAPLACIANS),
    st.sampled_from(SPLITS),
)
def test_cuts_are_what_they_are_called(size, seed, density, laplacian, split):
    # The path keeps it connected.
    graph = random_graph(size, seed, density=density) + 0.1 * path(size)
    vector = fiedler_vector(graph, laplacian).vector
    part, across, found = bipartition(graph, vector, split)
    assert part.dtype == bool
    assert 0 < part.sum() < size
    assert across == pytest.approx(coupling_across(graph, part), rel=1e-9, abs=1e-12)
    assert found == pytest.approx(conductance(graph, part), rel=1e-9, abs=1e-12)
    if split == "sign":
        np.testing.assert_array_equal(part, vector > 1e-13 * vector.max())
    elif split == "median":
        assert part.sum() == size - size // 2
        assert vector[part].min() >= vector[~part].max()
    else:
        score = conductance if split == "sweep" else normalised_cut
        least = min(score(graph, prefix) for prefix in prefixes(vector))
        assert score(graph, part) == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("end", [-1, 1])
@pytest.mark.parametrize("split", ["sweep", "ncut"])
def test_a_node_coupled_below_rounding_is_no_cheap_cut(end, split):
    """Its conductance is 1 at either end of the order, not the rounding error of a sum."""
    weak = 1e-18
    graph = np.pad(two_cliques(7, 6, 0.3) * np.pi, (0, 1))
    graph[0, 13] = graph[13, 0] = weak
    vector = end * np.append(np.arange(13.0), -1)
    part, _, least = bipartition(graph, vector, split)
    assert is_partition(part, np.isin(np.arange(14), [*range(7), 13]))
    assert least == pytest.approx(conductance(graph, part))


@pytest.mark.parametrize("factor", [1, 1e-9, 0.3, 7e5])
@pytest.mark.parametrize("end", [-1, 1])
def test_sweep_takes_the_smaller_normalised_cut_of_equal_conductances(factor, end):
    """Cutting off either end of a triangle has conductance 1."""
    graph = factor * np.array([[0, 1, 0.2], [1, 0, 0.3], [0.2, 0.3, 0]])
    part, _, least = bipartition(graph, end * np.array([-1.0, 0, 1]), "sweep")
    assert least == pytest.approx(1)
    assert is_partition(part, np.array([False, False, True]))


@pytest.mark.parametrize("split", SPLITS)
def test_cuts_of_many_rows_at_a_time(split):
    graph = random_graph(1_100, 3)
    vector = np.random.default_rng(0).standard_normal(len(graph))
    part, across, found = bipartition(graph, vector, split)
    weight = part @ graph @ ~part
    assert across == pytest.approx(weight)
    assert found == pytest.approx(weight / min(graph[part].sum(), graph[~part].sum()))


@given(st.integers(3, 30), st.integers(0, 10_000))
def test_cheeger(size, seed):
    graph = random_graph(size, seed, density=0.5) + 0.1 * path(size)
    found = fiedler_vector(graph, "normalised")
    least = bipartition(graph, found.vector, "sweep")[2]
    assert found.connectivity / 2 <= least * (1 + 1e-9)
    assert least <= np.sqrt(2 * found.connectivity) * (1 + 1e-9)


@laplacians
def test_median_breaks_two_and_six(laplacian):
    graph, pair = two_cliques(2, 6, 0.01), np.arange(8) < 2
    vector = fiedler_vector(graph, laplacian).vector
    for split in ("sign", "sweep", "ncut"):
        assert is_partition(bipartition(graph, vector, split)[0], pair)
    part, _, least = bipartition(graph, vector, "median")
    assert part.sum() == 4
    assert least > 20 * conductance(graph, pair)
