"""Which weights move in the refined learning coefficients of heads and of frequencies."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from hdlib.experiments.grokking.claims.learning import CLAIMS
from hdlib.experiments.grokking.coefficients import (
    CHAINS,
    USUAL,
    frequency_coefficients,
    head_coefficients,
    head_projection,
    wave_projection,
    whole_coefficient,
)
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.learning import CoefficientResults
from hdlib.experiments.grokking.recipe import SPECTRA
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
    found = frequency_coefficients(model, pairs, keys)
    assert {name: values.shape for name, values in found.items()} == {
        "frequencies": (2, CHAINS),
        "others": (2, CHAINS),
    }
    again = frequency_coefficients(model, pairs, keys)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert head_coefficients(model, pairs).shape == (3, CHAINS)
    assert whole_coefficient(model, pairs).shape == (CHAINS,)


def test_where_all_frequencies_are_key_there_are_no_others(model: ModularTransformer):
    found = frequency_coefficients(model, CONFIG.task.train, np.arange(1, 6))
    assert (found["frequencies"].shape, found["others"].shape) == ((5, CHAINS), (0, CHAINS))


def test_a_batch_is_at_most_all_pairs(model: ModularTransformer):
    pairs = CONFIG.task.train
    n = len(pairs.a)
    largest, larger, few = (whole_coefficient(model, pairs, batch_size=b) for b in (n, 2 * n, 5))
    assert np.array_equal(largest, larger)
    assert not np.allclose(largest, few, rtol=1e-2)


STEPS = np.array([0, 1_000, 3_000, 6_000, 9_000, 12_000, 17_000])
FALLING = np.array([1, 300, 200, 30, 5, 0.2, 0.05])


def made(
    whole: NDArray[np.float64] = FALLING,
    *,
    key: float = 0.5,
    parabola: float = 1e-3,
    few: float = 15,
) -> Any:
    """Results with a transition from step 6,000 to 12,000 and three networks that only memorise."""

    def of(values: NDArray[np.float64], steps: NDArray[np.int64]) -> Any:
        return SimpleNamespace(steps=steps, whole=np.stack([0.95 * values, 1.05 * values], 1))

    found = of(whole, STEPS)
    found.parabola = np.where(STEPS <= 1_000, whole, parabola * whole)
    found.others = np.tile(whole[:, None], (1, 4))
    found.frequencies = found.others * np.where(STEPS > 3_000, key, 1)[:, None]
    memorising = of(np.array([100.0, 20.0, few]), np.array([0, 7_000, 17_000]))
    return SimpleNamespace(
        coefficients=found,
        results=SimpleNamespace(
            transition=(6_000, 12_000),
            phases=SimpleNamespace(memorised=2_500),
            pairs={"step": STEPS},
            config=CONFIG,
        ),
        sweep=SimpleNamespace(memorising_coefficients=dict.fromkeys("abc", memorising)),
    )


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("coefficient-falls", made(np.array([1, 300, 200, 150, 140, 130, 120.0]))),
        ("coefficient-falls", made(np.array([1, 300, 20, 30, 5, 0.2, 0.05]))),
        ("coefficient-falls", made(few=0.1)),
        ("no-parabola", made(parabola=0.5)),
        ("flat-along-the-circuit", made(key=0.9)),
    ],
)
def test_claims_hold_and_can_fail(name: str, otherwise: Any):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    assert claim.decide(made()).holds is True, claim.decide(made()).values
    assert "Holds in the published runs" in claim.shown(made())
    assert claim.decide(otherwise).holds is False


def test_a_parabola_has_what_its_spectrum_gives():
    """½ Σ nβh / (nβh + γ), of a whole spectrum that is known, by the run's own quadrature."""
    values = np.r_[np.full(5, -1.0), np.zeros(20), np.geomspace(0.1, 100, 30)]
    arrays = {
        "eigenvalues": values,
        "converged": np.ones(len(values), bool),
        "density_diagonal": np.zeros((2, 3)),
        "density_coupling": np.zeros((2, 3)),
    }
    run = SimpleNamespace(
        config=CONFIG.model_copy(update={"p": 11}), arrays=lambda stage, step: arrays
    )
    n = len(CONFIG.task.train.a)
    steep = n / np.log(n) * np.maximum(values, 0)
    expected = (steep / (steep + USUAL.localisation)).sum() / 2
    found = CoefficientResults.__new__(CoefficientResults)
    found.run, found.steps = cast(Any, run), np.array([0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SPECTRA, "steps", lambda run: [0])
        assert found.parabola[0] == pytest.approx(expected, rel=1e-9)
