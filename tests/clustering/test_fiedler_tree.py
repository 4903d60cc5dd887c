"""Fiedler trees against their definition, SciPy's linkages, and planted clusters."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_monotonic, is_valid_linkage
from scipy.sparse.csgraph import connected_components

from hdlib.clustering import fiedler_tree
from hdlib.clustering.recovery import recovery
from hdlib.tasks import planted_hessian
from tests.clustering.graphs import (
    LAPLACIANS,
    SPLITS,
    complete,
    conductance,
    laplacian_matrix,
    path,
    random_graph,
    star,
    two_cliques,
)

ROUNDING = 2.0**-52

options = st.fixed_dictionaries(
    {"laplacian": st.sampled_from(LAPLACIANS), "split": st.sampled_from(SPLITS)}
)
few = settings(max_examples=40)
every_option = pytest.mark.parametrize(
    ("laplacian", "split"), [(a, b) for a in LAPLACIANS for b in SPLITS]
)
# Sparse ones are disconnected, with isolated nodes; those of equal weights have ties.
graphs = st.one_of(
    st.builds(
        random_graph,
        st.integers(2, 16),
        st.integers(0, 10_000),
        density=st.sampled_from([0.1, 0.3, 1.0]),
    ),
    st.sampled_from([path(9), complete(7), star(np.ones(8)), two_cliques(4, 4, 1.0)]),
    st.sampled_from([np.zeros((5, 5)), np.zeros((2, 2)), np.kron(np.eye(3), complete(3))]),
)


def clusters(linkage):
    """The members of each of the 2n − 1 nodes of a tree."""
    members = [[leaf] for leaf in range(len(linkage) + 1)]
    for first, second in linkage[:, :2].astype(int):
        members.append(sorted(members[first] + members[second]))
    return members


def nodes(tree):
    return {tuple(members) for members in clusters(tree.linkage)}


def groups(labels):
    return [tuple(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]


def is_connected(graph):
    return connected_components(graph, directed=False)[0] == 1


def modularity(graph, labels):
    """Q = Σ_c (w_c / V − (v_c / V)²)."""
    volume = graph.sum()
    inside = [labels == label for label in np.unique(labels)]
    return sum(graph[c][:, c].sum() / volume - (graph[c].sum() / volume) ** 2 for c in inside)


@few
@given(graphs, options)
def test_linkage_is_valid_and_cuts_of_scipy_are_of_the_tree(graph, chosen):
    tree = fiedler_tree(graph, **chosen)
    n = len(graph)
    assert tree.n_leaves == n
    assert is_valid_linkage(tree.linkage, throw=True)
    assert is_monotonic(tree.linkage)
    assert np.isfinite(tree.linkage).all()
    assert [len(members) for members in clusters(tree.linkage)[n:]] == tree.linkage[:, 3].tolist()
    for k in range(1, n + 1):
        cut = groups(fcluster(tree.linkage, k, "maxclust"))
        assert len(cut) == k
        assert set(cut) <= nodes(tree)


@few
@given(graphs, options)
def test_every_cluster_is_what_its_row_says(graph, chosen):
    tree = fiedler_tree(graph, **chosen)
    n, members = len(graph), clusters(tree.linkage)
    volume = graph.sum()
    largest = graph.sum(0).max() if chosen["laplacian"] == "combinatorial" else 1
    smallest = n * ROUNDING * (largest or 1)
    above = np.full(2 * n - 1, np.inf)
    for row in range(n - 2, -1, -1):
        inside = members[n + row]
        part = np.isin(inside, members[int(tree.linkage[row, 0])])
        cluster = graph[np.ix_(inside, inside)]
        if is_connected(cluster):
            matrix = laplacian_matrix(cluster, chosen["laplacian"])
            connectivity = np.linalg.eigvalsh(matrix)[1]
            assert tree.connectivity[row] == pytest.approx(connectivity, rel=1e-9, abs=1e-12)
            assert tree.conductance[row] == pytest.approx(conductance(cluster, part), rel=1e-9)
        else:
            assert tree.connectivity[row] == tree.conductance[row] == 0
            assert cluster[part][:, ~part].sum() == 0
        height = min(1 / max(tree.connectivity[row], smallest), above[n + row])
        assert tree.linkage[row, 2] == pytest.approx(height, rel=1e-12)
        above[tree.linkage[row, :2].astype(int)] = height
        if volume:
            whole, parts = np.zeros(n), np.zeros(n)
            whole[inside] = 1
            parts[inside] = 1 + part
            # The others are one group in both, and drop out.
            gain = modularity(graph, parts) - modularity(graph, whole)
            assert tree.gain[row] == pytest.approx(gain, abs=1e-12)


@few
@given(graphs, options)
def test_order_keeps_clusters_together(graph, chosen):
    tree = fiedler_tree(graph, **chosen)
    place = np.argsort(tree.order)
    np.testing.assert_array_equal(np.sort(tree.order), np.arange(len(graph)))
    for members in nodes(tree):
        assert np.ptp(place[list(members)]) == len(members) - 1


@few
@given(graphs, options)
def test_cuts_split_where_most_is_gained(graph, chosen):
    tree = fiedler_tree(graph, **chosen)
    n, members = len(graph), clusters(tree.linkage)
    gain = {tuple(members[n + row]): tree.gain[row] for row in range(n - 1)}
    previous = {tuple(range(n))}
    for k in range(1, n + 1):
        labels = tree.cut(k)
        assert labels.dtype == np.int64
        cut = groups(labels)
        assert len(cut) == k
        assert set(cut) <= nodes(tree)
        # The largest first, of equals that with the first parameter.
        assert cut == sorted(cut, key=lambda c: (-len(c), c[0]))
        if k > 1:
            (split,) = previous - set(cut)
            assert len(set(cut) - previous) == 2
            urgent = {c for c in previous if in_pieces(graph, c)}
            if urgent:
                assert split in urgent
            else:
                assert gain[split] == max(gain[c] for c in previous if len(c) > 1)
        previous = set(cut)


def in_pieces(graph, members):
    """Whether a cluster is disconnected, and not for being of uncoupled parameters alone."""
    couplings = np.abs(graph - np.diag(np.diag(graph)))
    within = couplings[np.ix_(members, members)]
    return bool(couplings[list(members)].any()) and connected_components(within)[0] > 1


def test_uncoupled_parameters_are_one_module_and_no_bar_to_others():
    hessian = np.zeros((12, 12))
    hessian[:4, :4] = hessian[4:8, 4:8] = 1
    hessian[0, 4] = hessian[4, 0] = 0.1
    np.fill_diagonal(hessian, 3)
    tree = fiedler_tree(hessian)
    assert tree.n_modules == 3
    assert groups(tree.cut(3)) == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]
    assert tree.modularity == pytest.approx(fiedler_tree(hessian[:8, :8]).modularity)
    assert fiedler_tree(np.eye(5)).n_modules == 1


@pytest.mark.parametrize("k", [0, -1, 6])
def test_impossible_cuts_are_refused(k):
    with pytest.raises(ValueError, match=f"k={k}: must be 1 to 5"):
        fiedler_tree(complete(5)).cut(k)


def as_table(tree, names):
    """Every cluster of a tree with what its row says."""
    inside = clusters(tree.linkage)[tree.n_leaves :]
    rows = zip(tree.linkage[:, 2], tree.connectivity, tree.conductance, tree.gain, strict=True)
    return {frozenset(names[m]): row for m, row in zip(inside, rows, strict=True)}


@few
@given(st.integers(2, 25), st.integers(0, 10_000), options)
def test_permuted_parameters_permute_the_tree(size, seed, chosen):
    graph = random_graph(size, seed)
    order = np.random.default_rng(seed).permutation(size)
    expected = as_table(fiedler_tree(graph, **chosen), np.arange(size))
    found = as_table(fiedler_tree(graph[np.ix_(order, order)], **chosen), order)
    assert found.keys() == expected.keys()
    for cluster, row in expected.items():
        assert found[cluster] == pytest.approx(row, rel=1e-8, abs=1e-12)


@few
@given(st.integers(2, 25), st.integers(0, 10_000), st.sampled_from([1e-9, 0.3, -1, 7e5]), options)
def test_scaling_scales_heights_and_nothing_else(size, seed, factor, chosen):
    graph = random_graph(size, seed)
    # By cluster, since in the normalised Laplacian all pairs have one height, up to rounding.
    expected = as_table(fiedler_tree(graph, **chosen), np.arange(size))
    found = as_table(fiedler_tree(factor * graph, **chosen), np.arange(size))
    unit = abs(factor) if chosen["laplacian"] == "combinatorial" else 1
    assert found.keys() == expected.keys()
    for cluster, (height, connectivity, *others) in expected.items():
        scaled = (height / unit, connectivity * unit, *others)
        assert found[cluster] == pytest.approx(scaled, rel=1e-8, abs=1e-14)


def test_sign_and_diagonal_of_the_hessian_do_not_count():
    graph, rng = random_graph(20, 0), np.random.default_rng(0)
    signs = np.triu(rng.choice([-1, 1], graph.shape), 1)
    hessian = graph * (signs + signs.T) + np.diag(100 * rng.standard_normal(20))
    np.testing.assert_array_equal(fiedler_tree(hessian).linkage, fiedler_tree(graph).linkage)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 0, 3]])
@pytest.mark.parametrize("split", SPLITS)
def test_heights_are_monotone_along_branches_only(order, split):
    """A tight pair keeps its low height beside a weak one, however the rows are sorted."""
    graph = np.zeros((4, 4))
    graph[0, 1], graph[2, 3], graph[1, 2] = 5, 0.005, 0.001
    graph = (graph + graph.T)[np.ix_(order, order)]
    tree = fiedler_tree(graph, laplacian="combinatorial", split=split)
    tight, weak, root = tree.linkage
    assert {order[int(leaf)] for leaf in tight[:2]} == {0, 1}
    assert {order[int(leaf)] for leaf in weak[:2]} == {2, 3}
    connectivity = np.linalg.eigvalsh(laplacian_matrix(graph, "combinatorial"))[1]
    np.testing.assert_allclose([tight[2], weak[2], root[2]], [0.1, 100, 1 / connectivity])


def test_a_weak_cluster_is_no_higher_than_the_one_it_is_in():
    """Leaves of a star, coupled to each other by almost nothing, hold together through its hub."""
    graph = star(np.array([1.0, 2.0, 3.0])) + 1e-3 * (complete(4) - star(np.ones(3)))
    tree = fiedler_tree(graph, laplacian="combinatorial", split="median")
    inside = clusters(tree.linkage)[4:]
    leaves = next(row for row, members in enumerate(inside) if 0 not in members)
    assert 1 / tree.connectivity[leaves] == pytest.approx(500)
    assert tree.linkage[leaves, 2] == pytest.approx(1 / tree.connectivity[-1])
    assert tree.linkage[leaves, 2] < 1


@every_option
def test_two_cliques_of_two_and_six(laplacian, split):
    tree = fiedler_tree(two_cliques(2, 6, 0.01), laplacian=laplacian, split=split)
    sizes = np.bincount(tree.cut(2)).tolist()
    assert sizes == ([4, 4] if split == "median" else [6, 2])
    assert (tuple(range(2, 8)) in nodes(tree)) == (split != "median")


@every_option
def test_pieces_are_set_apart_first(laplacian, split):
    pieces = [random_graph(size, size, density=1) for size in (7, 4, 4, 2)]
    n = sum(map(len, pieces)) + 3
    graph, labels, start = np.zeros((n, n)), np.arange(n), 0
    for piece in pieces:
        inside = slice(start, start + len(piece))
        # A piece is not more or less of one for being tight or weak.
        graph[inside, inside] = piece * 10.0 ** (start % 5 - 2)
        labels[inside] = start
        start += len(piece)
    order = np.random.default_rng(0).permutation(n)
    tree = fiedler_tree(graph[np.ix_(order, order)], laplacian=laplacian, split=split)
    assert (tree.connectivity == 0).sum() == 6
    assert (tree.connectivity[-6:] == 0).all()
    degree = graph.sum(0).max() if laplacian == "combinatorial" else 1
    np.testing.assert_allclose(tree.linkage[-6:, 2], 1 / (n * ROUNDING * degree), rtol=1e-12)
    found = fcluster(tree.linkage, 7, "maxclust")
    assert set(groups(found)) == set(groups(labels[order]))


@every_option
def test_no_couplings_at_all(laplacian, split):
    tree = fiedler_tree(np.diag([3.0, -1.0, 0.0, 2.0]), laplacian=laplacian, split=split)
    assert is_valid_linkage(tree.linkage)
    assert is_monotonic(tree.linkage)
    for values in (tree.connectivity, tree.conductance, tree.gain):
        assert values.tolist() == [0, 0, 0]
    np.testing.assert_allclose(tree.linkage[:, 2], 1 / (4 * ROUNDING))
    assert tree.cut(4).tolist() == [0, 1, 2, 3]
    assert len(groups(fcluster(tree.linkage, 3, "maxclust"))) == 3


@every_option
def test_complete_graph(laplacian, split):
    tree = fiedler_tree(complete(9), laplacian=laplacian, split=split)
    sizes = tree.linkage[:, 3]
    expected = sizes if laplacian == "combinatorial" else sizes / (sizes - 1)
    np.testing.assert_allclose(tree.connectivity, expected)


@every_option
def test_two_parameters(laplacian, split):
    tree = fiedler_tree([[7, -0.25], [-0.25, 0]], laplacian=laplacian, split=split)
    height = 2 if laplacian == "combinatorial" else 0.5
    np.testing.assert_allclose(tree.linkage, [[0, 1, height, 2]])
    assert tree.conductance == pytest.approx([1])
    assert tree.gain == pytest.approx([-0.5])


@pytest.fixture
def shallow_stack():
    """A recursion limit that leaves libraries what they need, and deep trees too little."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 120)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow_stack")
def test_a_star_peeled_leaf_by_leaf_is_deeper_than_recursion_goes():
    n = 250
    tree = fiedler_tree(star(1 + np.arange(n - 1) / 10), laplacian="combinatorial", split="sign")
    # The weakest leaf goes first, so the tree is known.
    rows = np.arange(n - 1)
    assert tree.linkage[0, :2].tolist() == [0, n - 1]
    np.testing.assert_array_equal(tree.linkage[1:, 0], n - 1 - rows[1:])
    np.testing.assert_array_equal(tree.linkage[1:, 1], n + rows[:-1])
    np.testing.assert_array_equal(tree.linkage[:, 3], rows + 2)
    assert len(groups(tree.cut(n // 2))) == n // 2
    assert sorted(tree.order.tolist()) == list(range(n))


@pytest.mark.usefixtures("shallow_stack")
def test_a_path_as_long_as_a_network():
    n = 6_000
    tree = fiedler_tree(path(n), laplacian="combinatorial", split="median")
    assert is_valid_linkage(tree.linkage)
    assert is_monotonic(tree.linkage)
    np.testing.assert_allclose(
        tree.connectivity, 4 * np.sin(np.pi / (2 * tree.linkage[:, 3])) ** 2, rtol=1e-6
    )
    for k in (2, 4, 8):
        labels = tree.cut(k)
        assert (np.diff(labels) != 0).sum() == k - 1
        assert np.bincount(labels).tolist() == [n // k] * k


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value):
    hessian = complete(5)
    hessian[1, 3] = hessian[3, 1] = value
    with pytest.raises(ValueError, match=rf"must be finite, got {value} at \(1, 3\)"):
        fiedler_tree(hessian)


def test_what_is_not_symmetric_is_refused():
    hessian = complete(5)
    hessian[1, 3] += 1e-13
    fiedler_tree(hessian)
    hessian[4, 2] = 1.5
    expected = r"symmetric, got 1(\.5)? at \(\d, \d\) and 1(\.5)? at"
    with pytest.raises(ValueError, match=expected) as caught:
        fiedler_tree(hessian)
    assert "(4, 2)" in str(caught.value)
    assert "(2, 4)" in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1), (0, 0), (3, 4), (5,), (2, 2, 2)])
def test_what_is_no_square_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="at least 2 × 2 is needed, got ") as caught:
        fiedler_tree(np.ones(shape))
    assert str(shape) in str(caught.value)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="laplacian='random walk': must be one of combinatorial"):
        fiedler_tree(complete(3), laplacian="random walk")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="split='mean': must be one of sign, median"):
        fiedler_tree(complete(3), split="mean")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("sizes", [[12, 9], [40, 2], [20, 1], [10, 9, 8, 7, 6, 5, 4, 3]])
def test_uncoupled_blocks_are_found(sizes):
    hessian, blocks = planted_hessian(sizes, noise=0, seed=0)
    found = fcluster(fiedler_tree(hessian).linkage, len(sizes), "maxclust")
    assert set(groups(found)) == set(groups(blocks))


def test_planted_blocks_are_recovered_at_least_as_well_as_by_scikit_learn():
    partitions = [[60, 60], [100, 5], [30] * 4, [80, 40, 20, 4], [50, 40, 30, 20, 15, 10, 8, 5]]
    scores = recovery(partitions, [0.1, 0.3, 0.5, 0.7], seeds=2)
    assert {values.shape for values in scores.values()} == {(5, 4, 2)}
    scores = {name: values.mean(2) for name, values in scores.items()}
    ours, theirs = (scores[name].mean(0) for name in ("normalised, ncut", "SpectralClustering"))
    assert (ours >= theirs).all(), (ours, theirs)
    np.testing.assert_array_equal(scores["normalised, ncut"][:, 0], 1)
    # Blocks of a half and a quarter are those that halving can find.
    halving = scores["combinatorial, median"]
    np.testing.assert_array_equal(halving[[0, 2], 0], 1)
    assert (halving[[1, 3, 4], 0] < 0.7).all()


def test_recovery_needs_a_seed():
    with pytest.raises(ValueError, match="seeds=0: must be at least 1"):
        recovery([[3, 3]], [0.1], seeds=0)
