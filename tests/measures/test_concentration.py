"""Where vectors of parameters lie: planted tensors and frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hdlib.measures.concentration import frequency_weights, tensor_weights
from hdlib.models import ModularTransformer

P, WIDTH = 23, 6


def model(**options) -> ModularTransformer:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": WIDTH, "n_heads": 1} | options
    return ModularTransformer(P, **settings)


def names(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.requires_grad]


def planted(network: nn.Module, **tensors):
    """A unit vector that is these arrays in these tensors, and zero elsewhere."""
    parts = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = np.zeros(tuple(parameter.shape))
            if name in tensors:
                value = tensors[name]
                part[: len(value)] = value
            parts.append(part.ravel())
    vector = np.concatenate(parts)
    return vector / np.linalg.norm(vector)


def wave(k: int, phase: float = 0.0):
    """A cosine over the residues, the same multiple of it in each column."""
    cosine = np.cos(2 * np.pi * k * np.arange(P) / P - phase)
    return np.outer(cosine, np.random.default_rng(k).normal(size=WIDTH))


def orthonormal(size: int, count: int):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(size, count)))[0]


def size_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("options", [{}, {"mlp_width": 9, "equals_logit": True}])
def test_weights_of_tensors_sum_to_one(options):
    network = model(**options)
    vectors = orthonormal(size_of(network), 12)
    weights = tensor_weights(vectors, network)
    assert weights.shape == (12, len(names(network)))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-13)
    assert (weights >= 0).all()
    parts = torch.from_numpy(vectors).split([p.numel() for p in network.parameters()])
    expected = np.stack([part.numpy().T for part in [(p**2).sum(0) for p in parts]], axis=1)
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_vectors_within_a_tensor():
    network = model(mlp_width=9)
    for index, (name, parameter) in enumerate(network.named_parameters()):
        filled = np.random.default_rng(index).normal(size=tuple(parameter.shape))
        weights = tensor_weights(planted(network, **{name: filled})[:, None], network)
        np.testing.assert_allclose(weights, np.eye(len(names(network)))[[index]], atol=1e-15)
    both = planted(network, query=np.eye(WIDTH), key=2 * np.eye(WIDTH))
    weights = dict(zip(names(network), tensor_weights(both[:, None], network)[0], strict=True))
    assert weights["query"] == pytest.approx(0.2)
    assert weights["key"] == pytest.approx(0.8)


def test_frozen_tensors_do_not_count():
    network = model()
    network.position.requires_grad_(False)
    vector = planted(network, unembedding=wave(3))
    weights = tensor_weights(vector[:, None], network)[0]
    assert dict(zip(names(network), weights, strict=True))["unembedding"] == pytest.approx(1)
    assert "position" not in names(network)
    found = frequency_weights(vector[:, None], network, tensor="unembedding", p=P)
    assert found[0, 3] == pytest.approx(1)


@pytest.mark.parametrize("tensor", ["embedding", "unembedding"])
@pytest.mark.parametrize("phase", [0.0, 1.0, np.pi / 2])
def test_pure_waves(tensor, phase):
    """Of each frequency, in a tensor with and without a row for "=" after the residues."""
    network = model()
    frequencies = range((P + 1) // 2)
    # A constant has no phase.
    waves = [wave(k, phase if k else 0) for k in frequencies]
    vectors = np.column_stack([planted(network, **{tensor: pure}) for pure in waves])
    weights = frequency_weights(vectors, network, tensor=tensor, p=P)
    np.testing.assert_allclose(weights, np.eye(len(frequencies)), atol=1e-14)
    other = {"embedding": "unembedding", "unembedding": "embedding"}[tensor]
    assert not frequency_weights(vectors, network, tensor=other, p=P).any()


def test_mixtures_share_out_their_weight():
    """Two frequencies, the row of "=", which is no residue, and another tensor."""
    network = model()
    unit = {k: wave(k) / np.linalg.norm(wave(k)) for k in (2, 7)}
    embedding = np.zeros((P + 1, WIDTH))
    embedding[:P] = 1 * unit[2] + 2 * unit[7]
    embedding[P, 0] = 3
    key = np.zeros((WIDTH, WIDTH))
    key[1, 1] = 4
    vector = planted(network, embedding=embedding, key=key)
    weights = frequency_weights(vector[:, None], network, tensor="embedding", p=P)[0]
    assert weights[2] == pytest.approx(1 / 30)
    assert weights[7] == pytest.approx(4 / 30)
    assert weights.sum() == pytest.approx(5 / 30)
    tensors = dict(zip(names(network), tensor_weights(vector[:, None], network)[0], strict=True))
    assert tensors["embedding"] == pytest.approx(14 / 30)
    assert tensors["key"] == pytest.approx(16 / 30)


def test_frequencies_share_out_the_rows_of_the_residues():
    network = model()
    vectors = orthonormal(size_of(network), 9)
    weights = frequency_weights(vectors, network, tensor="embedding", p=P)
    rows = vectors[: P * WIDTH]
    np.testing.assert_allclose(weights.sum(axis=1), (rows**2).sum(axis=0), rtol=1e-12)
    spectrum = np.fft.rfft(rows.reshape(P, WIDTH, 9), axis=0, norm="ortho")
    power = (np.abs(spectrum) ** 2).sum(axis=1).T
    power[:, 1:] *= 2
    np.testing.assert_allclose(weights, power, rtol=1e-11)


def test_share_of_random_directions():
    """2 · columns / P for each frequency, half of it for the constant; within 5 standard errors."""
    network = model()
    size, count = size_of(network), 4000
    vectors = np.random.default_rng(0).normal(size=(size, count))
    vectors /= np.linalg.norm(vectors, axis=0)
    weights = frequency_weights(vectors, network, tensor="unembedding", p=P)
    share = 2 * WIDTH / size
    errors = weights.std(axis=0) / count**0.5
    assert (np.abs(weights[:, 1:].mean(axis=0) - share) < 5 * errors[1:]).all()
    assert abs(weights[:, 0].mean() - share / 2) < 5 * errors[0]
    assert (errors < 0.02 * share).all()


def test_errors():
    network = model()
    size = size_of(network)
    for wrong in (np.zeros((size - 1, 2)), np.zeros((2, size)), np.zeros(size)):
        for call in (
            lambda v: tensor_weights(v, network),
            lambda v: frequency_weights(v, network, tensor="embedding", p=P),
        ):
            with pytest.raises(ValueError, match=rf"vectors must be \({size}, m\), got \("):
                call(wrong)
    with pytest.raises(KeyError, match="embeding"):
        frequency_weights(np.zeros((size, 1)), network, tensor="embeding", p=P)
    with pytest.raises(ValueError, match="p=22: must be odd"):
        frequency_weights(np.zeros((size, 1)), network, tensor="embedding", p=22)
    # A matrix of fewer rows than residues.
    with pytest.raises(ValueError, match="23"):
        frequency_weights(np.zeros((size, 1)), network, tensor="key", p=P)
