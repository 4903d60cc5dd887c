"""Which weights move in the refined learning coefficients of heads and of frequencies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from hdlib.experiments.grokking.coefficients import (
    CHAINS,
    head_projection,
    part_coefficients,
    wave_projection,
    whole_coefficient,
)
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.models import ModularTransformer

CONFIG = GrokkingConfig(
    p=11, width=12, n_heads=3, n_steps=10, log_every=10, eigenpairs=30, coefficients=1
)


def matrix_of(projection: Callable[[Tensor], Tensor], n: int) -> Tensor:
    return torch.stack([projection(row) for row in torch.eye(n)])


def vector(model: ModularTransformer) -> Tensor:
    return parameters_to_vector(model.parameters()).detach()


@pytest.fixture(scope="module")
def model() -> ModularTransformer:
    return CONFIG.model()


def test_heads_are_apart_and_are_all_of_the_attention(model: ModularTransformer):
    n = len(vector(model))
    found = [matrix_of(head_projection(model, head), n) for head in range(3)]
    for at, own in enumerate(found):
        assert torch.equal(own @ own, own)
        for other in found[at + 1 :]:
            assert not (own @ other).any()
    moved = torch.stack(found).sum(0).diagonal().bool()
    names = [name for name, w in model.named_parameters() for _ in range(w.numel())]
    assert {name for name, m in zip(names, moved.tolist(), strict=True) if m} == {
        "query",
        "key",
        "value",
        "output",
    }
    assert moved.sum() == 4 * 12 * 12


def test_a_head_is_what_its_output_depends_on(model: ModularTransformer):
    """Without the weights of one head the attention block gives what it gives without that head."""
    own = head_projection(model, 1)
    tokens = CONFIG.task.grid.tokens()
    changed = CONFIG.model()
    with torch.no_grad():
        weights = vector(model)
        torch.nn.utils.vector_to_parameters(weights - own(weights), changed.parameters())
        np.testing.assert_allclose(
            changed.attention(tokens)[:, :, [0, 2]], model.attention(tokens)[:, :, [0, 2]]
        )
        # Without query and key a head attends to all three alike.
        np.testing.assert_allclose(changed.attention(tokens)[:, :, 1], 1 / 3, rtol=1e-6)
        assert not changed.output[4:8].any()


def test_a_frequency_is_a_cosine_and_a_sine_over_the_residues(model: ModularTransformer):
    n = len(vector(model))
    found = {k: matrix_of(wave_projection(model, k), n) for k in (1, 4)}
    for own in found.values():
        torch.testing.assert_close(own @ own, own, atol=1e-5, rtol=0)
        torch.testing.assert_close(own, own.T, atol=1e-5, rtol=0)
        assert torch.linalg.matrix_rank(own) == 2 * 2 * 12
    assert (found[1] @ found[4]).abs().max() < 1e-5
    wave = torch.cos(2 * torch.pi * 4 * torch.arange(11) / 11 + 0.3)
    changed = CONFIG.model()
    with torch.no_grad():
        for weight in changed.parameters():
            weight.zero_()
        changed.embedding[:11] = wave[:, None] * torch.randn(12)
        changed.unembedding[:11] = wave[:, None] * torch.randn(12)
    whole = vector(changed)
    torch.testing.assert_close(wave_projection(model, 4)(whole), whole, atol=1e-5, rtol=0)
    assert wave_projection(model, 1)(whole).abs().max() < 1e-5


def test_each_part_has_a_coefficient_for_each_chain(model: ModularTransformer):
    pairs, keys = CONFIG.task.train, np.array([2, 5])
    found = part_coefficients(model, pairs, keys)
    assert {name: values.shape for name, values in found.items()} == {
        "heads": (3, CHAINS),
        "frequencies": (2, CHAINS),
        "others": (2, CHAINS),
    }
    again = part_coefficients(model, pairs, keys)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert whole_coefficient(model, pairs).shape == (CHAINS,)
