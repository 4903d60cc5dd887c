"""A multiple of a matrix has the same tree of parameters, and heights over that factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage
from scipy.linalg import block_diag

from hdlib import algebraic_connectivity, fiedler_tree
from hdlib.clustering import coupling_graph
from hdlib.tasks import planted_hessian

HESSIAN = planted_hessian([7, 5, 9], noise=0.2, seed=0)[0]
APART = np.asarray(block_diag(HESSIAN, HESSIAN[:6, :6] / 3))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-960, 1000),
    st.sampled_from(["normalised", "combinatorial"]),
    st.sampled_from(["sign", "median", "sweep", "ncut"]),
    st.booleans(),
)
def test_tree(exponent, laplacian, split, apart):
    matrix = APART if apart else HESSIAN
    unit = fiedler_tree(matrix, laplacian=laplacian, split=split)
    found = fiedler_tree(np.ldexp(matrix, exponent), laplacian=laplacian, split=split)
    units = exponent if laplacian == "combinatorial" else 0
    # The order of ties is that of rounding: where every two meet is the same.
    heights = np.asarray(cophenet(unit.linkage)) * 2.0**-units
    np.testing.assert_allclose(cophenet(found.linkage), heights, rtol=1e-9)
    for name, factor in (("connectivity", 2.0**units), ("conductance", 1), ("gain", 1)):
        one, other = (np.sort(getattr(tree, name)) for tree in (found, unit))
        np.testing.assert_allclose(one, other * factor, rtol=1e-9, atol=1e-14 * factor)
    assert is_valid_linkage(found.linkage)
    np.testing.assert_array_equal(found.cut(2), unit.cut(2))
    for k in (2, 3, len(matrix)):
        assert len(set(fcluster(found.linkage, k, "maxclust"))) == k
    value = algebraic_connectivity(np.ldexp(matrix, exponent), laplacian=laplacian)
    expected = algebraic_connectivity(matrix, laplacian=laplacian)
    assert value == pytest.approx(np.ldexp(expected, units), rel=1e-12)
    graph = coupling_graph(np.ldexp(matrix, exponent))
    np.testing.assert_array_equal(graph, np.ldexp(coupling_graph(matrix), exponent))


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-160, 1e160, 1e300])
def test_a_diagonal_of_another_size_changes_nothing(size):
    unit = fiedler_tree(HESSIAN)
    for diagonal in (0.0, 1e-300, 1e300):
        matrix = HESSIAN * size
        np.fill_diagonal(matrix, diagonal)
        found = fiedler_tree(matrix)
        np.testing.assert_array_equal(found.cut(3), unit.cut(3))


def test_heights_that_no_number_holds_are_an_error():
    """Below about 1e-295 the height of what is disconnected, 1 over its rounding, is too large."""
    for matrix in (HESSIAN * 1e-312, APART * 1e-296):
        with pytest.raises(ValueError, match="leave the range of float64: take a multiple of"):
            fiedler_tree(matrix, laplacian="combinatorial")
        assert np.isfinite(fiedler_tree(matrix).linkage).all()


@pytest.mark.parametrize("function", [fiedler_tree, algebraic_connectivity, coupling_graph])
def test_complex_matrices_are_refused(function):
    """Also where all imaginary parts are zero: what they mean is not ours to guess."""
    for matrix in (HESSIAN + 0j, HESSIAN + 1j * np.eye(len(HESSIAN)), HESSIAN.astype(np.complex64)):
        with pytest.raises(ValueError, match="the matrix must be real, got complex"):
            function(matrix)
        with pytest.raises(ValueError, match="the matrix must be real, got complex"):
            function(torch.as_tensor(matrix))
    function(np.ones((3, 3), dtype=int))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.int32])
def test_tensors_of_other_types(kind):
    matrix = (
        torch.tensor([[2, 1, 0], [1, 2, 1], [0, 1, 2]])
        .to(kind)
        .requires_grad_(kind.is_floating_point)
    )
    np.testing.assert_array_equal(coupling_graph(matrix), [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
