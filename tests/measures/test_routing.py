from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from hdlib.measures.routing import routing_columns, routing_use

COLLAPSED = np.eye(4)[np.full(8, 2)]
UNDECIDED = np.full((8, 4), 0.25)
SPECIALISED = np.eye(4)[np.arange(8) % 4]


def test_collapse_indecision_and_specialisation_are_told_apart():
    collapsed, undecided, specialised = routing_use([COLLAPSED, UNDECIDED, SPECIALISED])
    assert (collapsed.entropy, collapsed.marginal_entropy) == (0, 0)
    assert (undecided.entropy, undecided.marginal_entropy) == pytest.approx((log(4), log(4)))
    assert (specialised.entropy, specialised.marginal_entropy) == pytest.approx((0, log(4)))
    found = [use.normalised_entropy for use in (collapsed, undecided, specialised)]
    assert found == pytest.approx([0, 1, 0])
    assert collapsed.use.tolist() == collapsed.dominant.tolist() == [0, 0, 1, 0]
    assert undecided.use.tolist() == [0.25] * 4
    assert specialised.use.tolist() == specialised.dominant.tolist() == [0.25] * 4


@given(n=st.integers(1, 8), heads=st.integers(2, 5), seed=st.integers(0, 99))
def test_against_the_definitions(n, heads, seed):
    w = np.random.default_rng(seed).dirichlet(np.full(heads, 0.3), n)
    (found,) = routing_use([w])
    assert found.entropy == pytest.approx(np.mean([entropy(row) for row in w]))
    assert found.normalised_entropy == pytest.approx(found.entropy / log(heads))
    assert found.marginal_entropy == pytest.approx(entropy(w.mean(0)))
    assert found.use == pytest.approx(w.sum(0) / n)
    for head in range(heads):
        dominated = sum(max(range(heads), key=list(row).__getitem__) == head for row in w)
        assert found.dominant[head] == dominated / n
    # Concavity: the mutual information of input and head is not negative.
    assert found.entropy <= found.marginal_entropy + 1e-12 <= log(heads) + 2e-12


def test_one_head_is_no_indecision():
    (found,) = routing_use([np.ones((3, 1))])
    assert (found.entropy, found.normalised_entropy, found.marginal_entropy) == (0, 0, 0)


def test_columns():
    weights = [torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.eye(3)]
    found = routing_columns(weights)
    assert found == pytest.approx(
        {
            "routing_entropy": log(2) / 4,
            "normalised_routing_entropy": 1 / 4,
            "routing_entropy_0": log(2) / 2,
            "marginal_entropy_0": entropy([0.75, 0.25]),
            "head_use_0_0": 0.75,
            "head_use_0_1": 0.25,
            "routing_entropy_1": 0,
            "marginal_entropy_1": log(3),
            **{f"head_use_1_{head}": 1 / 3 for head in range(3)},
        }
    )


def test_errors():
    with pytest.raises(ValueError, match=r"shape \(0, 3\): must be \(n, n_heads\)"):
        routing_use([np.ones((0, 3))])
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        routing_columns([np.ones(3)])
    for bad in ([[0.5, 0.4]], [[1.5, -0.5]], [[np.nan, 1.0]]):
        with pytest.raises(ValueError, match="must be at least 0, and sum to 1"):
            routing_use([np.array(bad)])
