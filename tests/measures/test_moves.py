"""Moves of the weights: a measure whose value after a move is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hdlib.measures.moves import moved


def test_a_linear_measure_moves_by_the_dose_in_units_of_the_norm():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    directions = np.array([[1.0, 0.6], [0.0, 0.8]])

    def weights(network: nn.Linear) -> np.ndarray:
        return network.weight.flatten().numpy().copy()

    origin, forth, back = moved(model, weights, directions, dose=0.1)

    assert origin == pytest.approx([3, 4])
    np.testing.assert_allclose(forth, [[3.5, 4.0], [3.3, 4.4]])
    np.testing.assert_allclose(back, [[2.5, 4.0], [2.7, 3.6]])
    assert model.weight.tolist() == [[3.0, 4.0]]
