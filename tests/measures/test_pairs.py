"""Pairs of residues: what a network that memorised knows."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures.pairs import MIRRORED, OTHERS, grid_logits, pair_accuracies
from hdlib.models import ModularTransformer
from hdlib.tasks import modular_task

TASK = modular_task(11, train_fraction=0.4, seed=0)


def test_a_network_that_memorised_is_right_on_mirrored_pairs_only():
    logits = np.zeros((11, 11, 11))
    for a, b in zip(TASK.train.a.tolist(), TASK.train.b.tolist(), strict=True):
        logits[a, b, (a + b) % 11] = logits[b, a, (a + b) % 11] = 1
    logits[..., 0] += 0.5  # what it answers where it knows nothing
    found = pair_accuracies(logits, TASK)
    zero = (TASK.test.targets == 0)[~TASK.mirrored].float().mean().item()
    assert found == {MIRRORED: 1.0, OTHERS: pytest.approx(zero)}


def test_logits_of_the_grid_are_those_of_each_pair():
    model = ModularTransformer(11, width=8, n_heads=2, activation="relu")
    logits = grid_logits(model, TASK)
    for a, b, row in zip(TASK.test.a, TASK.test.b, model(TASK.test.tokens()), strict=True):
        np.testing.assert_allclose(logits[a, b], row.detach().numpy(), rtol=1e-12, atol=1e-14)
